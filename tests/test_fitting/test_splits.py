"""Images to tune on, and others to measure on."""

import json

import numpy as np
import pytest
from mmcv import imwrite
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sniper_mmdet.fitting.splits import splits, training_as_test


@pytest.fixture
def data(tmp_path):
    """Six images; all but the last have a box."""
    init_default_scope('mmdet')
    images, annotations = [], []
    for key in range(6):
        name = f'{key}.png'
        imwrite(np.zeros((20, 30, 3), np.uint8), str(tmp_path / name))
        images.append(dict(id=key, file_name=name, width=30, height=20))
        rest = dict(category_id=1, area=9, iscrowd=int(key == 5))
        one = dict(id=key + 1, image_id=key, bbox=[1, 1, 3, 3], **rest)
        annotations.append(one)
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='a')],
    )
    (tmp_path / 'a.json').write_text(json.dumps(content))
    return dict(
        type='CocoDataset',
        metainfo=dict(classes=('a',)),
        data_root=f'{tmp_path}/',
        data_prefix=dict(img=''),
        ann_file='a.json',
    )


def config(data, **train):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackDetInputs')]
    tested = dict(data, test_mode=True, pipeline=pipeline)
    return Config(
        dict(
            train_dataloader=dict(dataset=dict(data, **train)),
            test_dataloader=dict(dataset=tested),
            test_evaluator=[dict(type='CocoMetric', metric='bbox')],
        )
    )


@pytest.mark.parametrize(
    'num, own, others',
    [
        (0, [0, 2, 4], [1, 3, 5]),
        (2, [0, 4], [1, 5]),
        (3, [0, 2, 4], [1, 3, 5]),
        (1, [0], [1]),
    ],
)
def test_every_second_image(data, num, own, others):
    cfg = config(data)
    assert splits(cfg, 'val', num) == ((cfg, own), (cfg, others))


def test_training_images(data):
    chips = dict(
        type='sniper_mmdet.ChipDataset',
        scales=[1.0],
        dataset=dict(data, filter_cfg=dict(filter_empty_gt=True)),
    )
    cfg = config(data)
    cfg.train_dataloader.dataset = chips
    (tuning, own), (tested, others) = splits(cfg, 'train', 3)
    assert tested is cfg and others == [0, 2, 5]
    # Those without a box count too.
    assert own == [0, 2, 5]
    dataset = tuning.test_dataloader.dataset
    assert dataset.pipeline == cfg.test_dataloader.dataset.pipeline
    assert tuning.test_evaluator.ann_file == f'{data["data_root"]}a.json'


@pytest.mark.parametrize(
    'dataset',
    [
        dict(type='ConcatDataset', datasets=[]),
        dict(type='VOCDataset', ann_file='a.txt'),
        None,
    ],
)
def test_training_data_that_cannot_be_tested(data, dataset):
    cfg = config(data)
    cfg.train_dataloader = dataset and dict(dataset=dataset)
    kind = dataset and dataset['type']
    with pytest.raises(ValueError, match=f'one data set.*Received: {kind}'):
        training_as_test(cfg)


@pytest.mark.parametrize('indices, task', [([5, 0], 'tune'), ([0], 'measure')])
def test_there_must_be_boxes(data, indices, task):
    cfg = config(data)
    cfg.test_dataloader.dataset.indices = indices
    with pytest.raises(ValueError, match=f'the images to {task} on must have'):
        splits(cfg, 'val')
