"""A few images with boxes, as COCO and as PASCAL VOC data."""

import cv2
import numpy as np
import pytest
from chip_data import CLASSES, annotation, read, smooth_image, write
from mmengine.registry import init_default_scope
from openimages_files import write_files


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


@pytest.fixture
def folder(tmp_path):
    """Four images of 320x240 or 240x320, ten boxes each."""
    (tmp_path / 'images').mkdir()
    coco = dict(
        images=[],
        annotations=[],
        categories=[dict(id=3, name='cat'), dict(id=8, name='dog')],
    )
    rng = np.random.default_rng(0)
    for i in range(4):
        width, height = (320, 240) if i % 2 else (240, 320)
        name = f'{i}.jpg'
        cv2.imwrite(
            str(tmp_path / 'images' / name), smooth_image(width, height, i)
        )
        coco['images'].append(
            dict(id=10 + i, width=width, height=height, file_name=name)
        )
        for _ in range(10):
            w, h = rng.integers(6, 60, 2).tolist()
            x = int(rng.integers(0, width - w))
            y = int(rng.integers(0, height - h))
            coco['annotations'].append(annotation(coco, 10 + i, [x, y, w, h]))
    write(tmp_path, coco)
    return tmp_path


@pytest.fixture
def voc_folder(folder):
    """The same as VOC2007, the last box of each image marked difficult."""
    coco = read(folder)
    root = folder / 'VOC2007'
    for name in ('Annotations', 'ImageSets/Main'):
        (root / name).mkdir(parents=True)
    (folder / 'images').rename(root / 'JPEGImages')
    for image in coco['images']:
        objects = ''
        found = [
            a for a in coco['annotations'] if a['image_id'] == image['id']
        ]
        for ann in found:
            x, y, w, h = ann['bbox']
            objects += (
                f'<object><name>{CLASSES[ann["category_id"] == 8]}</name>'
                f'<difficult>{int(ann is found[-1])}</difficult><bndbox>'
                f'<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>'
                f'<xmax>{x + w + 1}</xmax><ymax>{y + h + 1}</ymax>'
                '</bndbox></object>'
            )
        (root / f'Annotations/{image["file_name"][0]}.xml').write_text(
            f'<annotation><size><width>{image["width"]}</width><height>'
            f'{image["height"]}</height></size>{objects}</annotation>'
        )
    (root / 'ImageSets/Main/train.txt').write_text('0\n1\n2\n3\n')
    return folder


@pytest.fixture
def data(tmp_path):
    """Three images in OpenImages' format."""
    write_files(tmp_path)
    return tmp_path
