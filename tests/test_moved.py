"""Old names work, and say what is new."""

import importlib
import warnings

import pytest
from mmdet.registry import MODELS
from mmengine.registry import DefaultScope

from sniper_mmdet import moved, registry


@pytest.mark.parametrize('old', moved.MODULES)
def test_modules(old):
    with pytest.warns(DeprecationWarning, match='goes with version'):
        module = importlib.reload(
            importlib.import_module(f'sniper_mmdet.{old}')
        )
    new = importlib.import_module(f'sniper_mmdet.{moved.MODULES[old]}')
    names = [n for n in vars(new) if not n.startswith('_')]
    assert names
    assert all(getattr(module, name) is vars(new)[name] for name in names)


@pytest.mark.parametrize(
    'module, name', [(m, name) for m in moved.NAMES for name in moved.NAMES[m]]
)
def test_names(module, name):
    owner, _, new = moved.NAMES[module][name].rpartition('.')
    owner = importlib.import_module(f'sniper_mmdet.{owner}')
    old = importlib.import_module(f'sniper_mmdet.{module}')
    with pytest.warns(DeprecationWarning, match=f'{name} is called .*{new}'):
        assert getattr(old, name) is getattr(owner, new)
    with pytest.raises(AttributeError, match='has no .no_such_name'):
        old.no_such_name  # noqa: B018


@pytest.mark.parametrize('registry', [MODELS, registry.MODELS])
@pytest.mark.parametrize('old', ['ChipFasterRCNN', 'ChipRPNHead'])
def test_types_in_configs(old, registry):
    with DefaultScope.overwrite_default_scope('mmdet'):
        with pytest.warns(DeprecationWarning, match=moved.TYPES[old]):
            found = registry.get(f'sniper_mmdet.{old}')
    assert found.__name__ == moved.TYPES[old]


@pytest.mark.parametrize(
    'place, old',
    [
        ('models', 'ChipRPNHead'),
        ('models.dense_heads.chip_rpn_head', 'ChipRPNHead'),
        ('models.detectors.chip_faster_rcnn', 'ChipFasterRCNN'),
        ('models.roi_heads.chip_roi_head', 'ChipRoIHead'),
        ('evaluation', 'ProposalRecall'),
    ],
)
def test_classes(place, old):
    module = importlib.import_module(f'sniper_mmdet.{place}')
    with pytest.warns(DeprecationWarning, match=moved.TYPES[old]):
        assert getattr(module, old).__name__ == moved.TYPES[old]


def test_new_names_are_silent():
    with warnings.catch_warnings():
        warnings.simplefilter('error', DeprecationWarning)
        for old, new in moved.TYPES.items():
            assert moved.TYPES.get(new) is None, old
        assert MODELS.get('sniper_mmdet.ReleasedFasterRCNN') is not None
