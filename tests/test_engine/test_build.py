"""Building what a config describes, and what is said where it cannot be."""

import json

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import ROOT, SAMPLE_CONFIG

from sniper_mmdet.datasets import ChipDataset
from sniper_mmdet.engine.build import (
    build_chip_dataset,
    build_image_dataset,
    build_unread_dataset,
    load_config,
)
from sniper_mmdet.registry import DATASETS

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
        match=("metainfo names the class 'hexagon', which .*train.json lacks"),
    ):
        build_chip_dataset(cfg)


class Waiting:
    """A data set of the user's own, which reads when it is built."""

    def __init__(self, path):
        self.metainfo = dict(classes=tuple(open(path).read().split()))


def split(**dataset):
    return Config(dict(test_dataloader=dict(dataset=dataset)))


def test_what_a_data_set_is_called_takes_no_file(monkeypatch):
    """Of wrapped data sets, too: image_demo.py asks it of any config."""
    coco = dict(
        type='mmdet.CocoDataset',
        ann_file='no/such.json',
        metainfo=dict(classes=('a', 'b')),
    )
    chips = dict(type='sniper_mmdet.ChipDataset', scales=[1.0])
    for config in (
        coco,
        dict(type='mmdet.ConcatDataset', datasets=[coco, coco]),
        dict(type='RepeatDataset', dataset=coco, times=2),
        dict(chips, dataset=coco),
    ):
        dataset = build_unread_dataset(split(**config), 'test')
        assert dataset.metainfo['classes'] == ('a', 'b')
    monkeypatch.setitem(DATASETS.module_dict, 'Waiting', Waiting)
    own = split(type='sniper_mmdet.Waiting', path='no/such.txt')
    assert build_unread_dataset(own, 'test') is None
    assert build_unread_dataset(own, 'val') is None


def test_whole_images_are_checked_as_chips_are(tiny_scenes, tmp_path):
    coco = json.loads((tiny_scenes / 'val.json').read_text())

    def config():
        path = tmp_path / 'val.json'
        path.write_text(json.dumps(coco))
        return split(
            type='mmdet.CocoDataset',
            ann_file=str(path),
            data_prefix=dict(img=f'{tiny_scenes}/images'),
            metainfo=dict(classes=[c['name'] for c in coco['categories']]),
            test_mode=True,
        )

    count = len(coco['images'])
    assert len(build_image_dataset(config(), 'test')) == count
    coco['annotations'][0]['bbox'] = None
    with pytest.raises(ValueError, match='bbox of annotation 1 must be'):
        build_image_dataset(config(), 'test')
    # A test set whose annotations are kept secret.
    del coco['annotations']
    assert len(build_image_dataset(config(), 'test')) == count
    coco['images'][1]['id'] = coco['images'][0]['id']
    with pytest.raises(ValueError, match='two images of the id'):
        build_image_dataset(config(), 'test')
