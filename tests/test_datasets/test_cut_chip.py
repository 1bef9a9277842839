"""A chip's pixels, boxes and masks, against those of the whole image."""

import mmcv
import numpy as np
import pytest
from chip_data import smooth_image
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks

from sniper_mmdet.chips import (
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    mine_chips,
)
from sniper_mmdet.datasets import CutChip
from sniper_mmdet.structures import UNSEEN
from sniper_mmdet.utils.errors import UserError

ALL = (0, np.inf)


def sample(img, region, factor=1.0, valid_range=ALL, boxes=(), **more):
    """What CutChip is given: an image, its boxes and one chip of it."""
    height, width = img.shape[:2]
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    level = ImagePyramid([factor]).level_sizes(width, height)[0]
    return dict(
        img=img,
        img_path='a.jpg',
        width=width,
        height=height,
        chip=dict(
            region=region,
            scale=(level[0] / width, level[1] / height),
            valid_range=valid_range,
        ),
        gt_bboxes=HorizontalBoxes(boxes),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.zeros(len(boxes), bool),
        **more,
    )


def boxes_of(results):
    return results['gt_bboxes'].numpy()


def level_image(img, factor):
    height, width = img.shape[:2]
    size = ImagePyramid([factor]).level_sizes(width, height)[0]
    return mmcv.imresize(img, tuple(size.tolist()))


@st.composite
def mined_chips(draw):
    """A chip mined from random boxes, as CutChip is given it."""
    width, height = draw(st.integers(1, 700)), draw(st.integers(1, 700))
    factor = draw(st.sampled_from([0.2, 0.37, 0.5, 1.0, 1.667, 3.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    corner = rng.uniform(0, 1, (12, 2)) * (width, height)
    sides = np.exp(rng.uniform(0.7, 4, (12, 2)))
    boxes = np.concatenate(
        [corner, np.minimum(corner + sides, (width, height))], 1
    )
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)].astype(np.float32)
    images = ImageBoxes.from_lists([(width, height)], [boxes])
    pyramid = ImagePyramid([factor])
    table = mine_chips(images, ChipSettings(pyramid, 64, (8, 12)))
    assume(len(table))
    row = draw(st.sampled_from(list(table)))
    region = tuple(float(row[k]) for k in ('x1', 'y1', 'x2', 'y2'))
    img = np.zeros((height, width, 3), np.uint8)
    return sample(img, region, factor, boxes=boxes), boxes


@given(chip=mined_chips())
@settings(max_examples=150, deadline=None)
def test_image_to_chip_to_image_is_the_identity(chip):
    results, boxes = chip
    region = np.array(results['chip']['region']).reshape(2, 2)
    factor = np.array(results['chip']['scale'])
    results = CutChip().transform(results)
    height, width = results['img_shape']
    whole = ~results['gt_ignore_flags']
    labels = results['gt_bboxes_labels'][whole]
    found = boxes_of(results)[whole].reshape(-1, 2, 2)
    back = (found + results['chip_offset']) / results['scale_factor']
    # A corner on the chip's border may lose what does not fill a pixel.
    at_border = (found == 0) | (found == (width, height))
    error = np.abs(back - boxes[labels].reshape(-1, 2, 2))
    assert error[~at_border].max(initial=0) < 1e-3
    assert (error * factor)[at_border].max(initial=0) < 1
    assert (found[:, 1] > found[:, 0]).all()
    # The chip's own corners are whole pixels of the chip, to half a pixel.
    corners = region * results['scale_factor'] - results['chip_offset']
    assert corners == pytest.approx(np.array([(0, 0), (width, height)]), abs=1)


@given(chip=mined_chips())
@settings(max_examples=60, deadline=None)
def test_chips_are_at_most_of_chip_size(chip):
    results, _ = chip
    size = np.rint(
        np.array(results['chip']['scale'])
        * (results['width'], results['height'])
    ).astype(int)
    results = CutChip().transform(results)
    assert results['img'].shape[:2] == results['img_shape']
    assert results['img_shape'] == (min(64, size[1]), min(64, size[0]))


@pytest.mark.parametrize(
    'region', [(0, 0, 96, 96), (37, 11, 133, 107), (224, 144, 320, 240)]
)
def test_pixels_at_factor_one_are_the_images_own(region):
    img = smooth_image(320, 240)
    chip = CutChip().transform(sample(img, region))
    x1, y1, x2, y2 = region
    assert (chip['img'] == img[y1:y2, x1:x2]).all()
    assert chip['scale_factor'] == (1, 1)
    assert chip['chip_offset'] == (x1, y1)


@pytest.mark.parametrize('factor', [0.5, 0.25, 2.0, 3.0])
def test_aligned_pixels_are_those_of_the_resized_image(factor):
    img = smooth_image(320, 240)
    whole = level_image(img, factor)
    chip = CutChip().transform(sample(img, (40, 80, 200, 160), factor))
    x1, y1, x2, y2 = (int(v * factor) for v in (40, 80, 200, 160))
    expected = whole[y1:y2, x1:x2]
    assert chip['img'].shape == expected.shape
    # Of an enlarged chip, border pixels lack neighbours beyond the border.
    rim = int(factor > 1) * 2
    inner = slice(rim, -rim or None)
    assert (chip['img'][inner, inner] == expected[inner, inner]).all()


@pytest.mark.parametrize('factor', [1.667, 0.8, 0.43, 2.31])
def test_other_pixels_are_nearly_those_of_the_resized_image(factor):
    img = smooth_image(640, 480)
    whole = level_image(img, factor).astype(float)
    errors, shifted = [], []
    for left, top in ((0, 0), (17, 3), (56, 57), (31, 28), (112, 114)):
        x2, y2 = (v / factor for v in (left + 64, top + 64))
        region = (left / factor, top / factor, x2, y2)
        chip = CutChip().transform(sample(img, region, factor))['img']
        assert chip.shape == (64, 64, 3)
        expected = whole[top : top + 64, left : left + 64]
        errors.append(np.abs(chip - expected).mean())
        expected = whole[top + 1 : top + 65, left + 1 : left + 65]
        shifted.append(np.abs(chip - expected).mean())
    assert max(errors) < 3
    assert (np.array(errors) < shifted).all()


@pytest.mark.parametrize('factor', [0.5, 0.8, 1.0, 1.667, 3.0])
def test_boxes_lie_where_their_pixels_are(factor):
    box = (103, 77, 163, 117)
    img = np.zeros((480, 640), np.uint8)
    img[77:117, 103:163] = 255
    for left, top in ((3, 7), (33.6, 21.2), (67.19, 33.59)):
        region = (left, top, left + 200.5, top + 130.3)
        chip = CutChip().transform(sample(img, region, factor, boxes=[box]))
        light = chip['img'] / chip['img'].sum()
        x1, y1, x2, y2 = boxes_of(chip)[0]
        height, width = chip['img_shape']
        center = (
            (light.sum(0) * (np.arange(width) + 0.5)).sum(),
            (light.sum(1) * (np.arange(height) + 0.5)).sum(),
        )
        assert center == pytest.approx(((x1 + x2) / 2, (y1 + y2) / 2), abs=0.3)
        area = chip['img'].sum() / 255
        assert (x2 - x1) * (y2 - y1) == pytest.approx(area, rel=0.06)


# In the chip (100, 100, 200, 200), valid from 10 to 50: valid, too large, cut,
# a sliver, outside.
BOXES = [
    (120, 120, 140, 160),
    (110, 110, 190, 190),
    (180, 150, 220, 170),
    (196, 150, 220, 170),
    (10, 10, 30, 30),
]
CHIP = (100, 100, 200, 200)


@pytest.mark.parametrize(
    ('settings', 'labels', 'ignored'),
    [
        (dict(), [0, 1, 2], [False, True, True]),
        (dict(out_of_range='drop'), [0], [False]),
        (dict(out_of_range='keep'), [0, 1, 2], [False] * 3),
        (dict(min_visible=4), [0, 1, 2, 3], [False, True, True, True]),
        (dict(min_visible=25), [0, 1], [False, True]),
        (dict(min_visible_share=0.5), [0, 1, 2], [False, True, False]),
    ],
)
def test_which_boxes_a_chip_trains(settings, labels, ignored):
    img = np.zeros((300, 300, 3), np.uint8)
    results = sample(img, CHIP, 1.0, (10, 50), BOXES)
    results = CutChip(**settings).transform(results)
    assert results['gt_bboxes_labels'].tolist() == labels
    assert results['gt_ignore_flags'].tolist() == ignored
    expected = np.clip(np.array(BOXES)[labels] - 100, 0, 100)
    assert boxes_of(results).tolist() == expected.tolist()


@pytest.mark.parametrize('own', [None, 'ignore', 'drop', 'keep'])
@pytest.mark.parametrize('of_chip', ['ignore', 'drop', 'keep'])
def test_what_the_chip_says_counts_where_the_argument_is_open(own, of_chip):
    img = np.zeros((300, 300, 3), np.uint8)
    found, expected = (
        sample(img, CHIP, 1.0, (10, 50), BOXES) for _ in range(2)
    )
    found['chip']['out_of_range'] = of_chip
    found = CutChip(own).transform(found)
    expected = CutChip(own or of_chip).transform(expected)
    for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
        assert found[key].tolist() == expected[key].tolist()
    assert boxes_of(found).tolist() == boxes_of(expected).tolist()


def test_what_must_be_seen_is_counted_in_pixels_of_the_chip():
    img = np.zeros((300, 300, 3), np.uint8)
    # Four original pixels, twelve of the chip.
    results = sample(img, CHIP, 3.0, ALL, [(196, 150, 220, 170)])
    results = CutChip(min_visible=12).transform(results)
    assert results['gt_ignore_flags'].tolist() == [True]
    assert boxes_of(results).tolist() == [[288, 150, 300, 210]]


def test_dropped_boxes_stay_for_others_where_the_chip_says_so():
    img = np.zeros((300, 300, 3), np.uint8)
    results = sample(img, CHIP, 1.0, (10, 50), BOXES)
    results['chip']['keep_unseen'] = True
    whole = CutChip('ignore').transform(dict(results))
    results['gt_ignore_flags'][1] = True
    results = CutChip('drop').transform(results)
    assert results['gt_bboxes_labels'].tolist() == [0, -1, 2]
    assert results['gt_ignore_flags'].tolist() == [0, 1, UNSEEN]
    assert boxes_of(results).tolist() == boxes_of(whole).tolist()


@pytest.mark.parametrize('mode', ['ignore', 'drop', 'keep'])
@pytest.mark.parametrize('box', [0, 1])
def test_boxes_ignored_before_stay_ignored(mode, box):
    img = np.zeros((300, 300, 3), np.uint8)
    results = sample(img, CHIP, 1.0, (10, 50), BOXES[box : box + 1])
    results['gt_ignore_flags'][:] = True
    results = CutChip(mode).transform(results)
    assert results['gt_ignore_flags'].tolist() == [True]
    # Unlike those that the chip does not train.
    assert results['gt_bboxes_labels'].tolist() == [-1]


@pytest.mark.parametrize('mode', ['ignore', 'drop', 'keep'])
def test_flags_may_be_missing_or_numbers(mode):
    img = np.zeros((300, 300, 3), np.uint8)
    expected, plain, counted = (
        sample(img, CHIP, 1.0, (10, 50), BOXES) for _ in range(3)
    )
    del plain['gt_ignore_flags']
    counted['gt_ignore_flags'] = counted['gt_ignore_flags'].astype(int)
    expected = CutChip(mode).transform(expected)
    for found in (plain, counted):
        found = CutChip(mode).transform(found)
        for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
            if key in found:
                assert found[key].tolist() == expected[key].tolist()
        assert boxes_of(found).tolist() == boxes_of(expected).tolist()


def test_boxes_may_be_an_array():
    img = np.zeros((300, 300, 3), np.uint8)
    results = sample(img, CHIP, 1.0, (10, 50), BOXES)
    results['gt_bboxes'] = results['gt_bboxes'].numpy()
    found = CutChip().transform(results)['gt_bboxes']
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    assert found[0].tolist() == [20, 20, 40, 60]


def test_no_boxes_and_no_annotations():
    img = np.zeros((300, 300, 3), np.uint8)
    for boxes in ([], BOXES[-1:]):
        results = CutChip().transform(sample(img, CHIP, boxes=boxes))
        assert boxes_of(results).shape == (0, 4)
        assert len(results['gt_bboxes_labels']) == 0
    results = sample(img, CHIP)
    for key in [key for key in results if key.startswith('gt_')]:
        del results[key]
    assert CutChip().transform(results)['img'].shape == (100, 100, 3)


def bitmaps(boxes, width, height):
    masks = np.zeros((len(boxes), height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    return BitmapMasks(masks, height, width)


def polygons(boxes, width, height):
    corners = [
        [np.array([x1, y1, x2, y1, x2, y2, x1, y2], float)]
        for x1, y1, x2, y2 in boxes
    ]
    return PolygonMasks(corners, height, width)


@pytest.mark.parametrize(('form', 'error'), [(bitmaps, 1), (polygons, 0.01)])
@pytest.mark.parametrize('factor', [0.5, 1.0, 1.667])
def test_masks_follow_boxes(form, error, factor):
    img = np.zeros((300, 300, 3), np.uint8)
    results = sample(img, (99.8, 99.7, 209.1, 209.4), factor, (10, 50), BOXES)
    results['gt_masks'] = form(BOXES, 300, 300)
    results = CutChip(min_visible=0).transform(results)
    masks, found = results['gt_masks'], boxes_of(results)
    assert len(masks) == len(found) == 4
    assert (masks.height, masks.width) == results['img_shape']
    around = masks.get_bboxes('hbox').numpy()
    assert around == pytest.approx(found, abs=error)


@pytest.mark.parametrize('form', [bitmaps, polygons])
def test_masks_of_no_box(form):
    img = np.zeros((300, 300, 3), np.uint8)
    results = sample(img, CHIP, 2.0, ALL, BOXES[-1:])
    results['gt_masks'] = form(BOXES[-1:], 300, 300)
    masks = CutChip().transform(results)['gt_masks']
    assert len(masks) == 0 and (masks.height, masks.width) == (200, 200)


@pytest.mark.parametrize('factor', [0.5, 1.0, 2.0])
def test_a_mirrored_image_gives_mirrored_chips(factor):
    img = smooth_image(300, 300)
    chip = CutChip().transform(sample(img, CHIP, factor, (10, 50), BOXES))
    boxes = np.array(BOXES)[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (300, 0) * 2
    mirrored = sample(
        np.ascontiguousarray(img[:, ::-1]), CHIP, factor, (10, 50), boxes
    )
    mirrored = CutChip().transform(mirrored)
    assert (mirrored['img'] == chip['img'][:, ::-1]).all()
    flip = Compose([dict(type='RandomFlip', prob=1.0)])
    flipped = flip(dict(chip))
    assert boxes_of(flipped) == pytest.approx(boxes_of(mirrored))
    for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
        assert flipped[key].tolist() == mirrored[key].tolist()


def test_image_that_is_not_as_annotated():
    results = sample(np.zeros((300, 200, 3), np.uint8), (0, 0, 50, 50))
    results['height'] = 301
    sentence = 'a.jpg is 200x300 pixels but its annotation says 200x301.'
    with pytest.raises(UserError, match=sentence):
        CutChip().transform(results)


def test_mode_that_is_not_there():
    with pytest.raises(ValueError, match="out_of_range must be .*'skip'"):
        CutChip(out_of_range='skip')
    assert 'out_of_range=drop, min_visible=3' in repr(CutChip('drop', 3))
