"""``docs/README.md`` is a part of ``docs/index.md``: links lead there."""

import re
from pathlib import Path

from sphinx.application import Sphinx


def lead_to_index(app: Sphinx, docname: str, source: list[str]) -> None:
    root = Path(app.srcdir)

    def lead(link: re.Match) -> str:
        target = (root / docname).parent / link[1] / 'README.md'
        is_index = target.resolve() == root / 'docs' / 'README.md'
        return f']({link[1]}index.md' if is_index else link[0]

    source[0] = re.sub(r'\]\(([\w./-]*)README\.md', lead, source[0])


def setup(app: Sphinx) -> dict:
    app.connect('source-read', lead_to_index)
    return {'parallel_read_safe': True}
