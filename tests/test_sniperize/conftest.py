"""A user's config, rewritten."""

import pytest
from zoo import PLAIN, delta_of

from sniper_mmdet.sniperize.config import read_plain, sniperize


@pytest.fixture
def plain(tmp_path):
    """Rewrite PLAIN; returns the config, its text and its notes, joined."""

    def run(*changes, autofocus=False):
        text = PLAIN
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / 'plain.py'
        path.write_text(text)
        text, notes = sniperize(read_plain(str(path)), str(path), autofocus)
        return delta_of(text), text, ' '.join(notes)

    return run
