"""Data sets that know their classes."""

import pytest
from mmdet.datasets import CocoDataset, VOCDataset
from mmengine.registry import init_default_scope

from sniper_mmdet.datasets import named_datasets
from sniper_mmdet.registry import DATASETS

NUMBERS = dict(
    VisDroneDataset=10,
    DOTADataset=15,
    DOTAv15Dataset=16,
    DOTAv2Dataset=18,
    SampleDataset=4,
    AerialCarsDataset=1,
    SookeVesselsDataset=1,
    FootballPlayersDataset=4,
    AirbusAircraftDataset=2,
    ImageNet3kDataset=3130,
    DeepPCBDataset=6,
    FaceMaskDataset=1,
    BCCDDataset=3,
    EmojiScenesDataset=60,
    EmojiScenesBaseDataset=48,
    TrafficLightsDataset=14,
)


def build(name, **settings):
    init_default_scope('mmdet')
    return DATASETS.build(
        dict(type=f'sniper_mmdet.{name}', lazy_init=True, **settings)
    )


@pytest.mark.parametrize('name', NUMBERS)
def test_classes(name):
    classes = build(name, ann_file='').metainfo['classes']
    assert len(set(classes)) == len(classes) == NUMBERS[name]
    palette = build(name, ann_file='').metainfo['palette']
    of = VOCDataset if name == 'BCCDDataset' else CocoDataset
    assert palette == of.METAINFO['palette']
    own = build(name, ann_file='', metainfo=dict(classes=('a', 'b')))
    assert own.metainfo['classes'] == ('a', 'b')


def test_all_are_counted():
    assert set(NUMBERS) == {
        name
        for name, value in vars(named_datasets).items()
        if getattr(value, '__module__', None) == named_datasets.__name__
    }


def test_a_file_is_read_by_the_names(tiny_scenes):
    dataset = build(
        'SampleDataset',
        data_root=f'{tiny_scenes}/',
        ann_file='train.json',
        data_prefix=dict(img='images/'),
    )
    dataset.full_init()
    labels = {
        instance['bbox_label']
        for index in range(len(dataset))
        for instance in dataset.get_data_info(index)['instances']
    }
    assert len(dataset) == 6 and labels == {0, 1, 2, 3}
