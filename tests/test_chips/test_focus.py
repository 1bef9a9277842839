"""FocusPixels and FocusChips of small maps by hand, and of random ones."""

from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniper_mmdet.chips import focus
from sniper_mmdet.chips.focus import (
    away_from_cuts,
    focus_chips,
    focus_labels,
    move_chips,
)


@pytest.mark.parametrize('dilation', [2, 3, 4, 5])
def test_dilation_is_that_of_opencv(dilation):
    mask = np.zeros((30, 40), np.uint8)
    mask[11, 17] = 1
    kernel = np.ones((dilation, dilation), np.uint8)
    y, x = np.nonzero(cv2.dilate(mask, kernel))
    (chip,) = focus_chips(mask, (640, 480), 0.5, dilation, 16)
    corners = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
    assert chip.tolist() == (corners * 16).tolist()


def test_labels_by_size():
    boxes = [
        (0, 0, 5, 5),  # of size 5: too small to count
        (64, 0, 70, 6),  # 6: a FocusPixel
        (128, 0, 191, 63),  # 63: likewise
        (0, 128, 64, 192),  # 64: too large, does not count
        (128, 128, 217, 217),  # 89: likewise
        (256, 256, 346, 346),  # 90: nothing
    ]
    labels = focus_labels(boxes, (352, 352))
    assert labels.shape == (22, 22) and labels.dtype == np.int8
    expected = np.zeros((22, 22), int)
    # From the cell of the first corner to the one after the last, both in.
    expected[:2, :2] = -1
    expected[:2, 4:6] = 1
    expected[:5, 8:13] = 1
    expected[8:13, :5] = -1
    expected[8:15, 8:15] = -1
    assert labels.tolist() == expected.tolist()


def test_positive_boxes_win_or_the_last_does():
    small, large = (0, 0, 30, 30), (0, 0, 80, 80)
    for boxes in ([small, large], [large, small]):
        labels = focus_labels(boxes, (96, 96))
        assert (labels == 1).sum() == 9 and (labels == -1).sum() == 27
    last = focus_labels([small, large], (96, 96), precedence='last')
    assert (last == -1).sum() == 36
    last = focus_labels([large, small], (96, 96), precedence='last')
    assert (last == 1).sum() == 9


def test_labels_of_no_box():
    for precedence in ('positive', 'last'):
        labels = focus_labels([], (33, 16), precedence=precedence)
        assert labels.shape == (1, 3) and not labels.any()


def test_a_chip_around_one_pixel():
    map_ = np.zeros((40, 60))
    map_[20, 30] = 0.5
    (chip,) = focus_chips(map_, (960, 640), 0.5, 3, 128).tolist()
    # Cells 29..31 and 19..21, grown to eight about their centre.
    assert chip == [26 * 16, 16 * 16, 34 * 16, 24 * 16]


def test_chips_that_touch_are_merged():
    map_ = np.zeros((40, 60))
    map_[5, 5] = map_[5, 12] = map_[30, 50] = 1
    chips = focus_chips(map_, (960, 640), 0.5, 3, 128).tolist()
    assert chips == [
        [1 * 16, 1 * 16, 16 * 16, 9 * 16],
        [46 * 16, 26 * 16, 54 * 16, 34 * 16],
    ]


def test_chips_are_shifted_into_the_level():
    map_ = np.zeros((40, 60))
    map_[0, 0] = map_[39, 59] = 1
    # The last cells are cut: 950 = 59 * 16 + 6.
    chips = focus_chips(map_, (950, 631), 0.5, 1, 128).tolist()
    assert chips == [[0, 0, 128, 128], [822, 503, 950, 631]]


def test_a_level_below_the_minimum_is_one_chip():
    map_ = np.zeros((4, 7))
    map_[1, 1] = 1
    chips = focus_chips(map_, (100, 60), 0.5, 3, 256)
    assert chips.tolist() == [[0, 0, 100, 60]]


def test_threshold_zero_is_everything_that_was_looked_at():
    map_ = np.zeros((40, 60))
    chips = focus_chips(map_, (950, 631), 0, 3, 128)
    assert chips.tolist() == [[0, 0, 950, 631]]
    assert len(focus_chips(map_ - 1, (950, 631), 0, 3, 128)) == 0
    assert len(focus_chips(map_ * np.nan, (950, 631), 0, 3, 128)) == 0


def apart(chips):
    """Whether no two boxes overlap."""
    low = np.maximum(chips[:, None, :2], chips[None, :, :2])
    high = np.minimum(chips[:, None, 2:], chips[None, :, 2:])
    overlap = (low < high).all(-1)
    return not (overlap & ~np.eye(len(chips), dtype=bool)).any()


@st.composite
def maps(draw):
    width, height = draw(st.integers(1, 700)), draw(st.integers(1, 700))
    cells = -(-height // 16), -(-width // 16)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0.002, 0.02, 0.2]))
    map_ = np.where(rng.random(cells) < share, rng.uniform(0.5, 1, cells), 0.1)
    return map_, (width, height)


@given(
    data=maps(),
    dilation=st.sampled_from([1, 3, 5]),
    min_size=st.integers(1, 300),
)
@settings(max_examples=200, deadline=None)
def test_chips_cover_every_focus_pixel(data, dilation, min_size):
    map_, (width, height) = data
    chips = focus_chips(map_, (width, height), 0.5, dilation, min_size)
    assert (chips[:, :2] >= 0).all()
    assert (chips[:, 2:] <= (width, height)).all()
    sides = chips[:, 2:] - chips[:, :2]
    assert (sides >= np.minimum(min_size, (width, height))).all()
    assert apart(chips)
    for y, x in np.argwhere(map_ >= 0.5):
        inside = (chips[:, :2] <= (x * 16, y * 16)).all(1) & (
            chips[:, 2:]
            >= np.minimum(((x + 1) * 16, (y + 1) * 16), (width, height))
        ).all(1)
        assert inside.any()
    # And nothing without one.
    for x1, y1, x2, y2 in chips // 16:
        around = map_[max(y1 - dilation, 0) : y2 + dilation + 1]
        around = around[:, max(x1 - dilation, 0) : x2 + dilation + 1]
        assert (around >= 0.5).any()


@given(data=maps(), ratio=st.floats(1, 4))
@settings(max_examples=100, deadline=None)
def test_moved_chips_cover_what_they_covered(data, ratio):
    map_, size = data
    new_size = tuple(max(round(side * ratio), side) for side in size)
    chips = focus_chips(map_, size, 0.5, 3, 64)
    moved = move_chips(chips, size, new_size)
    assert apart(moved) and len(moved) <= len(chips)
    assert (moved[:, 2:] <= new_size).all()
    ends = (moved[:, 2:] % 16 == 0) | (moved[:, 2:] == new_size)
    assert (moved[:, :2] % 16 == 0).all() and ends.all()
    factor = np.tile(np.divide(new_size, size), 2)
    for chip in chips * factor:
        inside = (moved[:, :2] <= chip[:2] + 1e-3).all(1) & (
            moved[:, 2:] >= chip[2:] - 1e-3
        ).all(1)
        assert inside.any()


def test_the_whole_level_moves_to_the_whole_level():
    whole = np.array([[0, 0, 512, 333]])
    moved = move_chips(whole, (512, 333), (1333, 867))
    assert moved.tolist() == [[0, 0, 1333, 867]]


@pytest.mark.parametrize(
    'box, kept',
    [
        ((120, 120, 150, 150), True),
        ((109, 120, 150, 150), False),  # 9 pixels from the left side
        ((110, 120, 150, 150), True),
        ((120, 120, 191, 150), False),
        ((91, 120, 150, 150), False),  # sticks out
        ((120, 0, 150, 50), True),  # the top is the image's own
        ((120, 250, 150, 299), True),  # and so is the bottom
    ],
)
def test_boxes_near_a_cut(box, kept):
    chip = (100, 0, 200, 300)
    assert away_from_cuts([box], chip, (400, 300)).tolist() == [kept]


def test_a_chip_that_is_the_image_cuts_nothing():
    boxes = [(0, 0, 400, 300), (1, 1, 5, 5)]
    assert away_from_cuts(boxes, (0, 0, 400, 300), (400, 300)).all()


@given(data=maps(), ratio=st.floats(0.5, 4), min_size=st.integers(1, 99))
@settings(max_examples=60, deadline=None)
def test_chips_that_are_apart_need_no_map(data, ratio, min_size):
    map_, size = data
    new_size = tuple(max(round(side * ratio), 1) for side in size)

    def both():
        chips = focus_chips(map_, size, 0.5, 3, min_size)
        return chips, move_chips(chips, size, new_size)

    found = both()
    with mock.patch.object(focus, '_are_apart', return_value=False):
        expected = both()
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()
