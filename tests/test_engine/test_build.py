"""Building what a config describes, and what is said where it cannot be."""

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import ROOT, SAMPLE_CONFIG

from sniper_mmdet.datasets import ChipDataset
from sniper_mmdet.engine.build import build_chip_dataset, load_config

(STOCK,) = (ROOT / 'configs/baselines').glob(
    'faster-rcnn_*_stock-ms_*_bccd.py'
)
INNER = 'train_dataloader.dataset.dataset'
pytestmark = pytest.mark.usefixtures('fast_configs')


def test_load_config_overrides_and_enters_the_scope():
    cfg = load_config(str(SAMPLE_CONFIG), {'model.max_per_img': 7})
    assert cfg.model.max_per_img == 7
    assert DefaultScope.get_current_instance().scope_name == 'mmdet'
    assert 'max_per_img' not in load_config(str(SAMPLE_CONFIG)).model


def test_load_config_names_a_missing_file():
    with pytest.raises(FileNotFoundError, match='no/such.py'):
        load_config('no/such.py')


def test_build_chip_dataset(tiny_scenes):
    cfg = load_config(
        str(SAMPLE_CONFIG), {f'{INNER}.data_root': f'{tiny_scenes}/'}
    )
    dataset = build_chip_dataset(cfg)
    assert isinstance(dataset, ChipDataset)
    assert len(dataset.images) == 6 and len(dataset) > 0


def test_build_chip_dataset_needs_one():
    with pytest.raises(
        ValueError,
        match=(
            r'stock-ms_4e_bccd.py: train_dataloader.dataset.type must be '
            r'sniper_mmdet.ChipDataset. Received: sniper_mmdet.BCCDDataset.'
        ),
    ):
        build_chip_dataset(load_config(str(STOCK)))
    with pytest.raises(ValueError, match='Received: None.'):
        build_chip_dataset(Config(dict(model=dict())))


def test_build_chip_dataset_names_missing_annotations(tmp_path):
    cfg = load_config(
        str(SAMPLE_CONFIG), {f'{INNER}.data_root': f'{tmp_path}/'}
    )
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/train.json'):
        build_chip_dataset(cfg)


def test_build_chip_dataset_names_an_unknown_class(tiny_scenes):
    cfg = load_config(
        str(SAMPLE_CONFIG),
        {
            f'{INNER}.data_root': f'{tiny_scenes}/',
            f'{INNER}.metainfo.classes': ('disc', 'hexagon'),
        },
    )
    with pytest.raises(
        ValueError,
        match=(
            "metainfo names the class 'hexagon', which .*train.json has not"
        ),
    ):
        build_chip_dataset(cfg)
