"""Tiny data where the configs look for theirs."""

import json
import pickle
import shutil
from pathlib import Path

import mmcv
from mmdet.datasets import CocoDataset, VOCDataset
from open_images import BOX_HEADER, write_open_images
from tiny import make_scenes, with_classes, write_voc
from wider_files import text_of, write_mats

from sniper_mmdet.datasets import (
    EmojiScenesDataset,
    ImageNet3kDataset,
    TrafficLightsDataset,
)
from sniper_mmdet.datasets.formats.emoji_scenes import NOVEL

# Sets of large images, whole and in slices.
_LARGE = dict(
    sooke_vessels=('vessel',),
    football_players=('ball', 'goalkeeper', 'player', 'referee'),
    airbus_aircraft=('aircraft', 'truncated_aircraft'),
)
_FACES = 'faces/face_mask'
# Small images, of many classes.
_SMALL = dict(
    emoji_scenes=EmojiScenesDataset.METAINFO['classes'],
    traffic_lights=TrafficLightsDataset.METAINFO['classes'],
)


def _slices(name: str) -> str:
    """How sahi names slices: by their size and by their overlap."""
    return '512_02' if name == 'airbus_aircraft' else '256_02'


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
            (f'data/{name}', 'train.json', 'val.json', classes)
            for name, classes in _SMALL.items()
        ),
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
                (f'data/slices/{name}', f'train_{_slices(name)}.json'),
            )
        ),
    ):
        for source, target in (('train', train), ('val', val)):
            file = folder / root / target
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(
                json.dumps(with_classes(scenes / f'{source}.json', classes))
            )
    for name in ('deeppcb', 'aerial_cars', _FACES, *_LARGE, *_SMALL):
        shutil.copytree(scenes / 'images', folder / 'data' / name / 'images')
    emoji = folder / 'data/emoji_scenes'
    shutil.copy(emoji / 'val.json', emoji / 'test_all.json')
    for name in NOVEL:
        target = emoji / 'image_level' / name
        target.mkdir(parents=True)
        for picture in sorted((scenes / 'images').iterdir())[:2]:
            shutil.copy(picture, target)
    for name in _LARGE:
        slices = folder / f'data/slices/{name}/train_images_{_slices(name)}'
        shutil.copytree(scenes / 'images', slices)
    write_open_images(scenes, folder / 'data/openimages_format')
    for name in (
        *('coco/train2017', 'coco/val2017'),
        *('imagenet3k/fall11_whole', 'imagenet3k/val'),
    ):
        shutil.copytree(scenes / 'images', folder / 'data' / name)
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
    _write_openimages(scenes, folder / 'data/OpenImages')
    return folder


def _write_openimages(scenes: Path, folder: Path) -> None:
    """Scenes as OpenImages has them, of 601 classes in a flat hierarchy."""
    names = [f'/m/{number:03d}' for number in range(601)]
    ann = folder / 'annotations'
    ann.mkdir(parents=True)
    rows = [f'{name},Class {name[3:]}' for name in names]
    (ann / 'class-descriptions-boxable.csv').write_text('\n'.join(rows))
    tree = dict(
        LabelName='/m/entity',
        Subcategory=[dict(LabelName=name) for name in names],
    )
    (ann / 'bbox_labels_600_hierarchy.json').write_text(json.dumps(tree))
    for source, split, boxes in (
        ('train', 'train', 'oidv6-train-annotations-bbox.csv'),
        ('val', 'validation', 'validation-annotations-bbox.csv'),
    ):
        coco = with_classes(scenes / f'{source}.json', names)
        images = folder / 'OpenImages' / split
        images.mkdir(parents=True)
        head = 'ImageID,Source,LabelName,Confidence'
        lines, labels, metas = [BOX_HEADER], [head], []
        for image in coco['images']:
            stem = Path(image['file_name']).stem
            pixels = mmcv.imread(scenes / 'images' / image['file_name'])
            mmcv.imwrite(pixels, str(images / f'{stem}.jpg'))
            size = image['height'], image['width'], 3
            metas.append(dict(filename=f'{stem}.jpg', ori_shape=size))
            for one in coco['annotations']:
                if one['image_id'] != image['id']:
                    continue
                x, y, w, h = one['bbox']
                box = x / size[1], (x + w) / size[1], y / size[0]
                box = ','.join(map(str, (*box, (y + h) / size[0])))
                name = names[one['category_id'] - 1]
                # The second of each image is a group.
                group = int(lines[-1].startswith(stem))
                told = f'{stem},xclick,{name},1'
                lines.append(f'{told},{box},0,0,{group},0,0')
                labels.append(told)
            labels.append(f'{stem},verification,{names[-1]},0')
        (ann / boxes).write_text('\n'.join(lines))
        file = f'{split}-annotations-human-imagelabels-boxable.csv'
        (ann / file).write_text('\n'.join(labels))
        (ann / f'{split}-image-metas.pkl').write_bytes(pickle.dumps(metas))
