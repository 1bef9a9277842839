"""Masks that are drawn in their chip, beside those drawn in their image."""

import time

import cv2
import numpy as np
import pytest
from chip_data import CLASSES, chip_dataset, coco_config, read, write
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from pycocotools import mask as coco_mask

from sniper_mmdet.datasets.transforms.annotated_masks import (
    AnnotatedMasks,
    LoadAnnotatedMasks,
)
from sniper_mmdet.utils.errors import UserError


class DrawsAll(LoadAnnotations):
    """mmdet's own; a class of the user's stays what it is."""


def star(rng, center, size):
    """A polygon (x, y, ...) of 9 corners, in tenths of pixels."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    radius = size / 2 * rng.uniform(0.3, 1, 9)
    x, y = (
        center[0] + radius * np.cos(angles),
        center[1] + radius * np.sin(angles),
    )
    return np.stack([x, y], 1).round(1).ravel().tolist()


def rle(height, width, box, compressed):
    pixels = np.zeros((height, width), np.uint8, order='F')
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 1
    pixels[(y1 + y2) // 2, x1:x2] = 0
    if compressed:
        found = coco_mask.encode(pixels)
        return dict(found, counts=found['counts'].decode())
    flat = pixels.ravel(order='F')
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends, flat.size]).tolist()
    return dict(size=[height, width], counts=runs)


def annotations(rng, height, width):
    """Of every kind, some beyond the image."""
    size = np.array((width, height))
    found = [
        [star(rng, rng.uniform(-10, size + 10), rng.uniform(1, 150))]
        for _ in range(40)
    ]
    found.append([star(rng, size / 3, 60), star(rng, size / 2, 40)])
    found.append([star(rng, -size, 20)])  # nothing of it
    found.append([(size - 1).tolist() * 3])
    found.append([[0.5, 0.5, 0.5, 9, 0.5, 4]])
    found.append([[1, 2, 3]])  # too short: mmdet ignores the object
    found += [rle(height, width, (20, 30, 70, 90), k) for k in (True, False)]
    return found


def loaded(step, masks, height, width):
    instances = [
        dict(bbox=[0, 0, 1, 1], bbox_label=0, ignore_flag=0, mask=mask)
        for mask in masks
    ]
    results = dict(
        instances=instances, ori_shape=(height, width), img_path='a.jpg'
    )
    return step(results)


@pytest.mark.parametrize('seed', range(3))
def test_every_pixel_is_mmdets(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(100, 200, 2).tolist()
    step = LoadAnnotations(with_bbox=True, with_mask=True)
    masks = annotations(rng, height, width)
    theirs = loaded(step, masks, height, width)
    ours = loaded(LoadAnnotatedMasks.like(step), masks, height, width)
    flags = ours['gt_ignore_flags']
    assert flags.tolist() == theirs['gt_ignore_flags'].tolist()
    assert flags.sum() == 1
    ours, theirs = ours['gt_masks'], theirs['gt_masks']
    assert isinstance(ours, AnnotatedMasks) and len(ours) == len(masks)
    assert (ours.masks == theirs.masks).all()
    assert theirs.masks.any((1, 2)).sum() > 20
    for _ in range(20):
        x, y = rng.integers(0, (width - 20, height - 20)).tolist()
        box = np.array([x, y, *rng.integers((x, y), (width, height)) + 1])
        size = tuple(rng.integers(1, 300, 2).tolist())
        kept = np.flatnonzero(rng.uniform(size=len(masks)) < 0.5)
        found, expected = (
            m[kept].crop(box).resize(size).crop(np.array([3, 2, 150, 140]))
            for m in (ours, theirs)
        )
        drawn = found.drawn()
        assert type(drawn) is BitmapMasks
        assert (drawn.height, drawn.width) == (expected.height, expected.width)
        assert (drawn.masks == expected.masks).all()


def test_what_bitmaps_can_do_they_can():
    """Steps that a user puts before CutChip find no difference."""
    rng = np.random.default_rng(0)
    step = LoadAnnotations(with_bbox=True, with_mask=True)
    masks = annotations(rng, 90, 120)
    theirs = loaded(step, masks, 90, 120)['gt_masks']
    ours = loaded(LoadAnnotatedMasks.like(step), masks, 90, 120)['gt_masks']
    for name, args in dict(
        flip=(),
        rescale=((60, 60),),
        pad=((100, 130),),
        resize=((50, 40), 'bilinear'),
        __getitem__=(3,),
    ).items():
        found, expected = (getattr(m, name)(*args) for m in (ours, theirs))
        assert (found.masks == expected.masks).all(), name
    assert (ours.areas == theirs.areas).all()
    assert (ours.to_ndarray() == theirs.to_ndarray()).all()


@pytest.fixture
def masked(folder):
    """The images of ``folder``, each object with a mask, one kind each."""
    coco, rng = read(folder), np.random.default_rng(0)
    sizes = {i['id']: (i['height'], i['width']) for i in coco['images']}
    for k, ann in enumerate(coco['annotations']):
        x, y, w, h = ann['bbox']
        box = x, y, x + w, y + h
        ann['segmentation'] = (
            rle(*sizes[ann['image_id']], box, compressed=k % 2)
            if k % 5 == 4
            else [star(rng, (x + w / 2, y + h / 2), min(w, h))]
        )
        ann['iscrowd'] = int(k % 10 == 9)
    write(folder, coco)
    return folder


def pipeline(load):
    return [
        dict(type='LoadImageFromFile'),
        load,
        dict(type='sniper_mmdet.CutChip'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackDetInputs', meta_keys=('img_id', 'chip_level')),
    ]


SETTINGS = dict(with_bbox=True, with_mask=True)


@pytest.mark.parametrize(
    ('around', 'load'),
    [
        (None, dict(type='LoadAnnotations', **SETTINGS)),
        ('ConcatDataset', dict(type='mmdet.LoadAnnotations', **SETTINGS)),
        ('RepeatDataset', LoadAnnotations(**SETTINGS)),
    ],
)
def test_masks_of_chips_are_those_of_the_image(masked, around, load):
    data = coco_config(masked)
    if around == 'ConcatDataset':
        data = dict(type=around, datasets=[data, data])
    elif around == 'RepeatDataset':
        data = dict(type=around, times=1, dataset=data)
    ours = chip_dataset(data, pipeline=pipeline(load))
    theirs = chip_dataset(data, pipeline=pipeline(DrawsAll(**SETTINGS)))
    table, kinds = ours.mine(0, 0), []
    for row in table:
        found, expected = (d[row]['data_samples'] for d in (ours, theirs))
        for key in ('gt_instances', 'ignored_instances'):
            own, other = found.get(key), expected.get(key)
            assert type(own.masks) is BitmapMasks
            assert (own.masks.masks == other.masks.masks).all()
            assert (own.bboxes.tensor == other.bboxes.tensor).all()
            assert (own.labels == other.labels).all()
            kinds.append(own.masks.masks.any((1, 2)).sum())
    assert len(table) > 20 and sum(kinds) > 50
    if not isinstance(load, dict):
        assert type(load) is LoadAnnotations


def test_polygons_stay_polygons(masked):
    load = dict(type='LoadAnnotations', poly2mask=False, **SETTINGS)
    dataset = chip_dataset(coco_config(masked), pipeline=pipeline(load))
    found = dataset[0]['data_samples'].gt_instances
    assert isinstance(found.masks, PolygonMasks) and len(found) > 0


def test_a_loader_of_the_users_own_gets_what_the_chip_shows(masked):
    counts = []

    class Counts(DrawsAll):
        def transform(self, results):
            counts.append(len(results['instances']))
            return super().transform(results)

    steps = pipeline(Counts(**SETTINGS))
    dataset = chip_dataset(coco_config(masked), pipeline=steps)
    table = dataset.mine(0, 0)
    whole = [len(dataset.get_data_info(row)['instances']) for row in table]
    for row in table:
        dataset[row]
    assert set(whole) == {10} and 0 < sum(counts) < 0.6 * sum(whole)


def test_an_object_without_a_mask_is_named(masked):
    coco = read(masked)
    for ann in coco['annotations']:
        if ann['image_id'] == 12:
            del ann['segmentation']
    write(masked, coco)
    load = dict(type='LoadAnnotations', **SETTINGS)
    dataset = chip_dataset(coco_config(masked), pipeline=pipeline(load))
    sentence = r'2\.jpg: the instance of the bbox \[.*\] has no mask, which'
    with pytest.raises(UserError, match=sentence):
        [dataset[row] for row in dataset.mine(0, 0)]


def test_a_mask_of_another_image_is_named(masked):
    coco = read(masked)
    for ann in coco['annotations']:
        ann['segmentation'] = rle(50, 60, (0, 0, 9, 9), True)
    write(masked, coco)
    load = dict(type='LoadAnnotations', **SETTINGS)
    dataset = chip_dataset(coco_config(masked), pipeline=pipeline(load))
    sentence = r"jpg.*a mask's size must be.*Received: \(50, 60\)"
    with pytest.raises(ValueError, match=sentence):
        dataset[0]


def test_masks_cost_little_beside_boxes(tmp_path):
    """200 objects of 2000x1500 px; all in each chip took 100 times as long."""
    (tmp_path / 'images').mkdir()
    cv2.imwrite(
        str(tmp_path / 'images/0.jpg'), np.zeros((1500, 2000, 3), np.uint8)
    )
    rng, anns = np.random.default_rng(0), []
    for k in range(200):
        x, y = rng.uniform(0, (1940, 1440)).round(1).tolist()
        polygon = star(rng, (x + 30, y + 30), 60)
        anns.append(
            dict(id=k + 1, image_id=1, category_id=k % 2, iscrowd=0, area=900)
            | dict(bbox=[x, y, 60, 60], segmentation=[polygon])
        )
    names = [dict(id=k, name=name) for k, name in enumerate(CLASSES)]
    image = dict(id=1, file_name='0.jpg', width=2000, height=1500)
    write(tmp_path, dict(images=[image], annotations=anns, categories=names))
    seconds = []
    for settings in (dict(with_bbox=True), SETTINGS):
        load = dict(type='LoadAnnotations', **settings)
        dataset = chip_dataset(coco_config(tmp_path), pipeline=pipeline(load))
        rows = dataset.mine(0, 0)[:12]
        times = []
        for row in rows:
            start = time.process_time()
            dataset[row]
            times.append(time.process_time() - start)
        seconds.append(np.median(times))
    assert seconds[1] < 2 * seconds[0]
