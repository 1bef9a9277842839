"""Small data sets and images that the tests of this folder share."""

import json
import re

import cv2
import numpy as np
import pytest

from sniper_mmdet.datasets import ChipSampler
from sniper_mmdet.registry import DATASETS

CLASSES = ('cat', 'dog')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='sniper_mmdet.CutChip'),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='PackDetInputs',
        meta_keys=(
            *('img_id', 'img_path', 'ori_shape'),
            *('chip', 'chip_level', 'flip'),
        ),
    ),
]


def smooth_image(width, height, seed=0):
    """uint8 (height, width, 3) without sharp edges, full of contrast."""
    coarse = np.random.default_rng(seed).integers(
        0, 256, (height // 24 + 2, width // 24 + 2, 3), np.uint8
    )
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def annotation(coco, image_id, bbox, **more):
    return dict(
        id=len(coco['annotations']),
        image_id=image_id,
        category_id=3 if len(coco['annotations']) % 3 else 8,
        bbox=bbox,
        area=bbox[2] * bbox[3],
        iscrowd=0,
        **more,
    )


def read(folder):
    return json.loads((folder / 'coco.json').read_text())


def write(folder, coco):
    (folder / 'coco.json').write_text(json.dumps(coco))


def coco_config(folder, **changes):
    return dict(
        type='CocoDataset',
        data_root=str(folder),
        ann_file='coco.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=CLASSES),
        **changes,
    )


def chip_dataset(dataset, **changes):
    """A ChipDataset of two levels, with chips of 96 pixels."""
    config = dict(
        type='sniper_mmdet.ChipDataset',
        dataset=dataset,
        scales=[0.5, 1.0],
        valid_ranges=[(24, None), (0, 40)],
        chip_size=96,
        stride=(8, 12),
        pipeline=PIPELINE,
    )
    return DATASETS.build(dict(config, **changes))


def wrapped(config, kind):
    if kind == 'ConcatDataset':
        return dict(type=kind, datasets=[config])
    if kind == 'RepeatDataset':
        return dict(type=kind, dataset=config, times=2)
    return config


WRAPPERS = [None, 'ConcatDataset', 'RepeatDataset']


def changed(folder, change):
    """Change the folder's COCO file; its path."""
    coco = read(folder)
    change(coco)
    write(folder, coco)
    return str(folder / 'coco.json')


def voc_config(folder, **changes):
    return dict(
        type='VOCDataset',
        data_root=str(folder),
        ann_file='VOC2007/ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        metainfo=dict(classes=CLASSES),
        **changes,
    )


def voc_changed(folder, number, old, new):
    """Change one XML file of a VOC folder, once; its path."""
    path = folder / f'VOC2007/Annotations/{number}.xml'
    text, count = re.subn(old, new, path.read_text(), count=1)
    assert count
    path.write_text(text)
    return str(path)


def no_chip(config):
    with pytest.raises(ValueError) as error:
        ChipSampler(chip_dataset(config), seed=0)
    assert 'valid' not in str(error.value)
    return str(error.value)
