"""Imports run one way, from the tools to the geometry, and never back."""

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_LOW = {'chips', 'utils', 'images', 'registry', 'structures'}
_MIDDLE = {'datasets', 'models', 'evaluation', 'visualization'}
_HIGH = {'engine', 'released', 'tuning'}
#: What every room may import, and which is no room: the package itself, its
#: version and its old names.
_EVERYWHERE = {'sniper_mmdet', 'version', 'moved'}
#: What each room, a folder or a file of the package, may import of others.
#: CONTRIBUTING.md has the same table.
ARROWS = {
    'chips': set(),
    'utils': set(),
    'images': {'utils'},
    'registry': {'utils'},
    'structures': {'chips'},
    'logs': {'utils'},
    'tuning': {'chips', 'utils'},
    'datasets': _LOW,
    'models': _LOW,
    'visualization': _LOW | {'datasets'},
    'evaluation': _LOW,
    'engine': _LOW | _MIDDLE,
    'released': _LOW | {'models', 'engine'},
    'sniperize': _LOW | _MIDDLE | _HIGH,
    'apis': _LOW | _MIDDLE | _HIGH,
    'fitting': _LOW | _MIDDLE | _HIGH | {'sniperize', 'apis'},
    'benchmark': _LOW | _MIDDLE | _HIGH | {'apis'},
}
PACKAGE = sorted(
    path.relative_to(ROOT)
    for path in ROOT.glob('sniper_mmdet/**/*.py')
    if '.mim' not in path.parts
)
TOOLS = sorted(path.relative_to(ROOT) for path in ROOT.glob('tools/**/*.py'))


def module_of(path: Path) -> str:
    name = '.'.join(path.with_suffix('').parts)
    return name.removesuffix('.__init__')


MODULES = {module_of(path): path for path in PACKAGE}


def imported(path: Path) -> Iterator[str]:
    """Modules, and what is taken out of them, that a file names."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = path.parts[: len(path.parts) - node.level]
            start = list(parents) if node.level else []
            start += [node.module] if node.module else []
            yield from ('.'.join([*start, alias.name]) for alias in node.names)


def own_modules(path: Path) -> set[str]:
    """Modules of this package that a file imports."""
    found = set()
    for name in imported(path):
        while name.startswith('sniper_mmdet'):
            if name in MODULES:
                found.add(name)
                break
            name = name.rpartition('.')[0]
    return found


def room_of(module: str) -> str:
    return module.split('.')[1] if '.' in module else module


@pytest.mark.parametrize('path', PACKAGE, ids=str)
def test_no_arrow_runs_back(path):
    room = room_of(module_of(path))
    assert room in ARROWS or room in _EVERYWHERE, (
        f'{path}: give the new room a row in ARROWS and in CONTRIBUTING.md'
    )
    allowed = ARROWS.get(room, set())
    wrong = {room_of(module) for module in own_modules(path)}
    wrong -= {room, *_EVERYWHERE, *allowed}
    assert not wrong, (
        f'{path} imports {sorted(wrong)}; {room} may import '
        f'{sorted(allowed)} only (see CONTRIBUTING.md)'
    )


def test_no_room_stands_in_a_circle():
    list(graphlib.TopologicalSorter(ARROWS).static_order())
    assert 'models' not in ARROWS['datasets']
    assert 'datasets' not in ARROWS['models']


def test_no_module_stands_in_a_circle():
    graph = {
        module: own_modules(path) - {module}
        for module, path in MODULES.items()
    }
    list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize('path', TOOLS, ids=str)
def test_no_tool_is_imported(path):
    stems = {tool.stem for tool in TOOLS if tool != path}
    others = {
        name
        for name in imported(path)
        if name.split('.')[0] in stems | {'tools'}
    }
    assert not others, (
        f'{path} imports {sorted(others)}: what two tools share belongs in '
        'the package'
    )


def test_the_map_for_contributors_has_the_same_arrows():
    rows = re.findall(
        r'^\| `(\w+)(?:/|\.py)` \|.*\| ([^|]*) \|$',
        (ROOT / 'CONTRIBUTING.md').read_text(),
        re.MULTILINE,
    )
    told = {room: set(re.findall(r'`(\w+)`', cell)) for room, cell in rows}
    assert told == ARROWS
