"""Where Numba keeps what it compiled, and what happens where it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sniper_mmdet import chips

ROOM = Path(chips.__file__).parent
#: Compiles a small function, and prints where it is kept.
USE = """
import sys

sys.path.insert(0, sys.argv[1])

from sniper_mmdet.chips.cover import axis_positions

assert axis_positions(10, 4, 3).tolist() == [0, 3, 6]
print(axis_positions.stats.cache_path)
"""


@pytest.fixture
def copy(tmp_path) -> Path:
    """A folder with a package of the geometry alone."""
    package = tmp_path / 'site' / 'sniper_mmdet'
    ignored = shutil.ignore_patterns('__pycache__')
    shutil.copytree(ROOM, package / 'chips', ignore=ignored)
    for name in ('__init__.py', 'version.py', 'moved.py'):
        shutil.copy(ROOM.parent / name, package)
    return package.parent


def use(copy, **env):
    """Where compiled functions are kept, by a process of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ('NUMBA_CACHE_DIR', 'XDG_CACHE_HOME')
    }
    done = subprocess.run(
        [sys.executable, '-B', '-c', USE, str(copy)],
        env=kept | {name: str(value) for name, value in env.items()},
        cwd=copy,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def written(folder) -> set[Path]:
    return {path for path in folder.rglob('*') if path.suffix == '.nbi'}


@pytest.mark.parametrize('name', ['HOME', 'XDG_CACHE_HOME', 'NUMBA_CACHE_DIR'])
def test_cache_is_the_users(copy, tmp_path, name):
    mine = tmp_path / 'mine'
    home = tmp_path / 'home'
    where = Path(use(copy, **{'HOME': home, name: mine}))
    assert mine in where.parents
    assert len(written(mine)) == 1
    # Nothing outlives the package beside its sources.
    assert not written(copy) and not home.exists()


@pytest.mark.parametrize('name', ['HOME', 'XDG_CACHE_HOME', 'NUMBA_CACHE_DIR'])
def test_without_a_place_to_write_it_works_uncached(copy, tmp_path, name):
    home = tmp_path / 'home'
    assert use(copy, **{'HOME': home, name: '/dev/null'}) == 'None'
    assert not written(copy) and not home.exists()


def test_an_edit_of_any_file_is_another_cache(copy, tmp_path):
    before = use(copy, HOME=tmp_path)
    assert use(copy, HOME=tmp_path) == before
    with open(copy / 'sniper_mmdet' / 'chips' / 'pyramid.py', 'a') as file:
        file.write('# Its code is part of what callers were compiled to.\n')
    assert use(copy, HOME=tmp_path) != before
