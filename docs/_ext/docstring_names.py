"""Roles in docstrings name things as the code beside them does.

``:class:`CutChip``` may stand in any module. Where the reference has one such
thing, it becomes a link; where the package has one that the reference leaves
out, it stays as it is written. Anything else is a mistake, and Sphinx says so.
"""

import re
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

DEFINED = re.compile(r'^ *(?:class|def) (\w+)|^ *(?:self\.)?(\w+) *[:=]', re.M)


@cache
def defined_names(package: Path) -> set[str]:
    """Modules of the package, and all that is defined in them."""
    found = set()
    for path in package.rglob('*.py'):
        found.add(path.stem if path.stem != '__init__' else path.parent.name)
        for names in DEFINED.findall(path.read_text()):
            found.update(filter(None, names))
    return found


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element
) -> nodes.Element | None:
    if node.get('refdomain') != 'py':
        return None
    objects = env.domains.python_domain.objects
    parts = node['reftarget'].split('.')
    for start in range(len(parts)):
        end = '.' + '.'.join(parts[start:])
        names = [
            name
            for name, place in objects.items()
            if f'.{name}'.endswith(end) and not place.aliased
        ]
        if len(names) == 1:
            place = objects[names[0]]
            return make_refnode(
                app.builder,
                node['refdoc'],
                place.docname,
                place.node_id,
                text,
                names[0],
            )
    package = Path(app.srcdir) / 'sniper_mmdet'
    return text if parts[-1] in defined_names(package) else None


def setup(app: Sphinx) -> dict:
    app.connect('missing-reference', resolve)
    return {'parallel_read_safe': True}
