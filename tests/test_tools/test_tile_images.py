"""Scenes joined from images, by hand."""

import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest


def write(folder, sizes):
    """Images of one grey each, with a box in the last pixel of each."""
    images, annotations = [], []
    for i, (w, h) in enumerate(sizes):
        cv2.imwrite(
            str(folder / f'{i}.png'), np.full((h, w, 3), 10 + i, np.uint8)
        )
        images.append(dict(id=i, file_name=f'{i}.png', width=w, height=h))
        annotations.append(
            dict(
                id=i,
                image_id=i,
                category_id=1,
                bbox=[w - 1, h - 1, 1, 1],
                area=1,
                iscrowd=0,
                segmentation=[[w - 1, h - 1, w, h - 1, w, h]],
            )
        )
    coco = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='corner')],
    )
    (folder / 'val.json').write_text(json.dumps(coco))


def test_boxes_move_with_their_images(tool, here):
    write(here, [(6, 4), (5, 4), (6, 3), (6, 4), (6, 4)])
    tool(
        'dataset_converters/tile_images.py',
        'val.json',
        '.',
        'out',
        '--grid',
        '2',
        '1',
    )
    coco = json.loads((here / 'out/val.json').read_text())
    assert [i['id'] for i in coco['images']] == [1, 2]
    assert [a['id'] for a in coco['annotations']] == [1, 2, 3, 4]
    greys = set()
    for image in coco['images']:
        assert (image['width'], image['height']) == (12, 4)
        pixels = cv2.imread(str(here / 'out/images' / image['file_name']))
        assert pixels.shape == (4, 12, 3)
        boxes = [
            a for a in coco['annotations'] if a['image_id'] == image['id']
        ]
        for annotation, left in zip(boxes, (0, 6), strict=True):
            x, y, w, h = annotation['bbox']
            grey = pixels[0, left, 0]
            greys.add(int(grey))
            assert (w, h) == (1, 1) and left <= x < left + 6
            # The last pixel of the image, black or another's after it.
            assert pixels[y, x, 0] == grey
            assert annotation['segmentation'] == [
                [x, y, x + 1, y, x + 1, y + 1]
            ]
            outside = pixels[:, left : left + 6].copy()
            outside[: y + 1, : x - left + 1] = 0
            assert not outside.any()
    assert len(greys) == 4 and greys <= {10, 11, 12, 13, 14}


@pytest.mark.parametrize(
    'args, sentence',
    [
        (('val.json', '.', 'out', '--grid', '3', '2'), 'a scene takes 6'),
        (('val.json', 'nowhere', 'out', '--grid', '1', '1'), 'cannot be read'),
    ],
)
def test_what_cannot_be_joined(tool, here, args, sentence):
    write(here, [(6, 4)] * 5)
    with pytest.raises(SystemExit) as stop:
        tool('dataset_converters/tile_images.py', *args)
    assert sentence in str(stop.value)


def test_an_image_of_another_size(tool, here):
    write(here, [(6, 4)])
    cv2.imwrite(str(here / '0.png'), np.zeros((5, 6, 3), np.uint8))
    with pytest.raises(SystemExit, match='is 6x5 px, and 6x4 in val.json'):
        tool(
            'dataset_converters/tile_images.py',
            *('val.json', '.', 'out', '--grid', '1', '1'),
        )


@pytest.mark.parametrize('args', [('no.json', '.', 'out'), ('--grid', '0')])
def test_wrong_arguments(tool, here, args):
    with pytest.raises(SystemExit) as stop:
        tool('dataset_converters/tile_images.py', *args)
    assert stop.value.code == 2


def test_a_folder_of_images_on_another_disk(tool, here):
    disk = Path('/dev/shm')
    if not disk.is_dir() or disk.stat().st_dev == here.stat().st_dev:
        pytest.skip('there is one disk')
    write(here, [(6, 4), (5, 4)])
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        (here / 'out').mkdir()
        (here / 'out/images').symlink_to(folder)
        args = 'val.json', '.', 'out', '--grid', '2', '1'
        for _ in range(2):  # and over what is there
            tool('dataset_converters/tile_images.py', *args)
        assert [p.name for p in Path(folder).iterdir()] == ['val_0000.png']
