"""Tiny data where the configs look for theirs."""

import json
import shutil
from pathlib import Path

from mmdet.datasets import CocoDataset, VOCDataset
from tiny import make_scenes, with_classes, write_voc
from wider_files import text_of, write_mats

# Sets of large images, whole and in slices.
_LARGE = dict(
    sooke_vessels=('vessel',),
    football_players=('ball', 'goalkeeper', 'player', 'referee'),
    airbus_aircraft=('aircraft', 'truncated_aircraft'),
)
_FACES = 'faces/face_mask'


def _write_wider(scenes: Path, folder: Path) -> None:
    """Write scenes as WIDER FACE, of whose objects the first count."""
    for split in ('train', 'val'):
        coco = json.loads((scenes / f'{split}.json').read_text())
        images = {}
        target = folder / f'WIDER_{split}/images/0--Parade'
        target.mkdir(parents=True)
        for img in coco['images']:
            shutil.copy(scenes / 'images' / img['file_name'], target)
            images[f'0--Parade/{Path(img["file_name"]).stem}'] = [
                (*map(round, ann['bbox']), 0, 0, 0, 0, 0, 0)
                for ann in coco['annotations']
                if ann['image_id'] == img['id']
            ]
        text = text_of(images).replace('.jpg', Path(img['file_name']).suffix)
        file = folder / f'wider_face_split/wider_face_{split}_bbx_gt.txt'
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    counted = dict.fromkeys(('easy', 'medium', 'hard'), [[1]] * len(images))
    write_mats(folder / 'eval_tools/ground_truth', images, counted)


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
        (f'data/{_FACES}', 'train.json', 'val.json', ('face',)),
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
    for name in ('deeppcb', 'aerial_cars', _FACES, *_LARGE):
        shutil.copytree(scenes / 'images', folder / 'data' / name / 'images')
    for name in _LARGE:
        slices = folder / 'data/slices' / name
        shutil.copytree(scenes / 'images', slices, dirs_exist_ok=True)
    for name in ('train2017', 'val2017'):
        shutil.copytree(scenes / 'images', folder / 'data/coco' / name)
    _write_wider(scenes, folder / 'data/WIDERFace')
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
