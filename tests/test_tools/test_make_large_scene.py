"""A scene of gigapixels in small: what is where."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('rasterio')

NUM, SIDE = 3, 1500


@pytest.fixture
def images(here):
    """Images of one grey each, with a box in the middle of each."""
    coco = dict(images=[], annotations=[], categories=[dict(id=1, name='a')])
    for k in range(4):
        grey = np.full((100, 200, 3), 60 * k, np.uint8)
        cv2.imwrite(str(here / f'{k}.png'), grey)
        size = dict(width=200, height=100)
        coco['images'].append(dict(id=k, file_name=f'{k}.png', **size))
        one = dict(id=k + 1, image_id=k, category_id=1, iscrowd=0)
        coco['annotations'].append(dict(one, bbox=[50, 25, 100, 50], area=1))
    (here / 'val.json').write_text(json.dumps(coco))
    return here


def make(tool, *more):
    return tool(
        'dataset_converters/make_large_scene.py',
        *('val.json', '.', 'out', '--side', str(SIDE), '--num', str(NUM)),
        *more,
    )


def test_boxes_are_where_the_images_are(tool, images):
    make(tool, '--factor', '2')
    from sniper_mmdet.images import open_image

    coco = json.loads((images / 'out/val.json').read_text())
    (image,) = coco['images']
    assert (image['width'], image['height']) == (SIDE, SIDE)
    assert len(coco['annotations']) == NUM
    source = open_image(images / 'out/val.tif')
    assert source.shape == (SIDE, SIDE, 3)
    greys = set()
    for one in coco['annotations']:
        x, y, w, h = one['bbox']
        assert (w, h, one['area']) == (200, 100, 20000)
        pixels = source.read((x, y, x + w, y + h), (50, 25))
        assert pixels.std() < 2
        greys.add(round(pixels.mean() / 60))
    assert len(greys) == NUM


def test_the_same_seed_gives_the_same_places(tool, images):
    found = []
    for seed in '7', '7', '8':
        make(tool, '--seed', seed)
        found.append((images / 'out/val.json').read_text())
    assert found[0] == found[1] != found[2]


def test_too_many_images_are_an_error(tool, images):
    with pytest.raises(SystemExit):
        make(tool, '--factor', '8')
    with pytest.raises(SystemExit):
        make(tool, '--num', '5')
