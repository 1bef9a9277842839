"""Tiny data where the configs look for theirs."""

import json
import shutil
from pathlib import Path

from mmdet.datasets import CocoDataset, VOCDataset
from tiny import make_scenes, with_classes, write_voc

from sniper_mmdet.datasets import ImageNet3kDataset

# Sets of large images, whole and in slices.
_LARGE = dict(
    sooke_vessels=('vessel',),
    football_players=('ball', 'goalkeeper', 'player', 'referee'),
    airbus_aircraft=('aircraft', 'truncated_aircraft'),
)


def user_data(folder: Path) -> Path:
    """Fill ``folder/data`` with what the configs of this package name."""
    scenes = make_scenes(folder / 'data/sample', 3, 1)
    coco_classes = CocoDataset.METAINFO['classes']
    for root, train, val, classes in (
        (
            'data/coco',
            'annotations/instances_train2017.json',
            'annotations/instances_val2017.json',
            coco_classes,
        ),
        (
            'data/deeppcb',
            'train.json',
            'val.json',
            ('open', 'short', 'mousebite', 'spur', 'copper', 'pin-hole'),
        ),
        ('data/aerial_cars', 'train.json', 'val.json', ('car', 'bus')),
        (
            'data/imagenet3k',
            'annotations/train.json',
            'annotations/val.json',
            ImageNet3kDataset.METAINFO['classes'],
        ),
        *(
            (root, train, 'val.json', classes)
            for name, classes in _LARGE.items()
            for root, train in (
                (f'data/{name}', 'train.json'),
                (f'data/slices/{name}', 'train_coco.json'),
            )
        ),
    ):
        for source, target in (('train', train), ('val', val)):
            file = folder / root / target
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(
                json.dumps(with_classes(scenes / f'{source}.json', classes))
            )
    for name in ('deeppcb', 'aerial_cars', *_LARGE):
        shutil.copytree(scenes / 'images', folder / 'data' / name / 'images')
    for name in _LARGE:
        slices = folder / 'data/slices' / name
        shutil.copytree(scenes / 'images', slices, dirs_exist_ok=True)
    for name in (
        *('coco/train2017', 'coco/val2017'),
        *('imagenet3k/fall11_whole', 'imagenet3k/val'),
    ):
        shutil.copytree(scenes / 'images', folder / 'data' / name)
    voc = folder / 'data/VOCdevkit'
    splits = dict(trainval='train', test='val')
    for year in ('VOC2007', 'VOC2012'):
        write_voc(scenes, voc / year, splits, VOCDataset.METAINFO['classes'])
    write_voc(
        scenes,
        folder / 'data/bccd/VOC2007',
        splits,
        ('RBC', 'WBC', 'Platelets'),
    )
    return folder
