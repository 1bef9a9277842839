"""Files of three images in OpenImages' format, and data sets of them."""

import json

import cv2
import numpy as np
from chip_data import smooth_image
from open_images import BOX_HEADER

from sniper_mmdet.registry import DATASETS

# a: a dog and a group of cats, b: two cars, their rows apart; c has no box.
ROWS = [
    'a,xclick,/m/dog,1,0.25,0.5,0.1,0.9,0,0,0,0,0',
    'b,xclick,/m/car,1,0,0.5,0,1,1,0,0,-1,0',
    'a,xclick,/m/cat,1,0.5,1,0.5,1,0,0,1,0,0',
    'b,xclick,/m/car,1,0.5,1,0,1,0,0,0,0,1',
]
LABELS = [
    'ImageID,Source,LabelName,Confidence',
    'a,verification,/m/dog,1',
    'a,verification,/m/car,0',
    'c,verification,/m/animal,0',
    'c,machine,/m/car,0.7',
]
CLASSES = ['animal', 'dog', 'cat', 'car']
TREE = dict(
    LabelName='/m/root',
    Subcategory=[
        dict(
            LabelName='/m/animal',
            Subcategory=[dict(LabelName='/m/dog'), dict(LabelName='/m/cat')],
        ),
        dict(LabelName='/m/car', Part=[dict(LabelName='/m/wheel')]),
    ],
)


def write_lines(path, lines):
    path.write_text('\n'.join(lines) + '\n')


def write_files(folder):
    """Three images: a and c 200x100 px, b 100x200."""
    (folder / 'images').mkdir()
    for k, name in enumerate('abc'):
        size = (100, 200) if name == 'b' else (200, 100)
        path = folder / f'images/{name}.jpg'
        cv2.imwrite(str(path), smooth_image(*size, k))
    write_lines(folder / 'boxes.csv', [BOX_HEADER, *ROWS])
    write_lines(folder / 'labels.csv', LABELS)
    write_lines(folder / 'names.csv', [f'/m/{n},{n}' for n in CLASSES])
    (folder / 'tree.json').write_text(json.dumps(TREE))


def load_config(data):
    return dict(
        type='sniper_mmdet.OpenImagesDataset',
        data_root=str(data),
        ann_file='boxes.csv',
        data_prefix=dict(img='images'),
        label_file='names.csv',
        hierarchy_file='tree.json',
        image_level_ann_file='labels.csv',
    )


def load(data, **settings):
    return DATASETS.build(dict(load_config(data), **settings))


def challenge_txt(data):
    rows = ['images/a.jpg', '-1', '2', '2 .25 .1 .5 .9 0', '3 .5 .5 1 1 1']
    rows += ['images/b.jpg', '-1', '0']
    write_lines(data / 'boxes.txt', rows)
    names = [f'/m/{n},{n},{k}' for k, n in enumerate(CLASSES, start=1)]
    write_lines(data / 'names.csv', names[::-1])
    matrix = np.zeros((5, 5))
    matrix[1:, 1:] = np.eye(4)
    matrix[2:4, 1] = 1
    with open(data / 'tree.np', 'wb') as file:
        np.save(file, matrix)
    write_lines(
        data / 'labels.csv',
        ['ImageID,LabelName,Confidence', 'b,/m/animal,0'],
    )
    return dict(ann_file='boxes.txt', hierarchy_file='tree.np')
