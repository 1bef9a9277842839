"""Chips that are cut for what a focus head is to notice."""

import numpy as np
import pytest

from sniper_mmdet.chips import (
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    Proposals,
    mine_chips,
    valid_boxes,
)
from sniper_mmdet.chips.mining import noticed_boxes
from sniper_mmdet.chips.settings import NegativeSettings

#: At the coarse level boxes from 60 px on train.
PYRAMID = ImagePyramid([0.5, 2.0], [(60, None), (0, 80)])
PLAIN = ChipSettings(PYRAMID, 128, 16)
FOCUSED = ChipSettings(PYRAMID, 128, 16, focus_sizes=(5, 20, 30))


def images(*sizes):
    """An image of 800x600, squares of these sides far from each other."""
    boxes = [
        (50 + 200 * k, 50, 50 + 200 * k + s, 50 + s)
        for k, s in enumerate(sizes)
    ]
    return ImageBoxes.from_lists([(800, 600)], [np.array(boxes)])


def test_which_boxes_are_noticed():
    # 10 px are 5 there, 39.9 px are 19.95, 40 px are 20.
    boxes = images(10, 11, 39.9, 40)
    found = noticed_boxes(boxes, FOCUSED)
    assert found.tolist() == [
        [False, False],
        [True, False],
        [True, False],
        [False, False],
    ]
    assert not noticed_boxes(boxes, PLAIN).any()
    # What trains is what it was.
    assert np.array_equal(
        valid_boxes(boxes, FOCUSED), valid_boxes(boxes, PLAIN)
    )


def test_chips_show_what_is_noticed_whole():
    boxes = images(11, 39, 70)
    plain, focused = (mine_chips(boxes, s) for s in (PLAIN, FOCUSED))
    assert plain['level'].tolist().count(0) == 1  # for that of 70 px
    coarse = focused[focused['level'] == 0]
    assert coarse['positive'].all()
    shown = (coarse['x1'][:, None] <= boxes.boxes[:, 0]) & (
        boxes.boxes[:, 2] <= coarse['x2'][:, None]
    )
    assert shown.any(0).all()


def test_levels_by_their_sides():
    """An image of 800x600 is 400x300 at (-1, 400): a factor of 0.5."""
    pyramid = ImagePyramid([(-1, 400), (-1, 1600)], PYRAMID.valid_ranges)
    settings = ChipSettings(pyramid, 128, 16, focus_sizes=(5, 20, 30))
    boxes = images(10, 11, 39.9, 40)
    assert np.array_equal(
        noticed_boxes(boxes, settings), noticed_boxes(boxes, FOCUSED)
    )


def negatives(settings, **given):
    """Levels of the negative chips of twenty proposals of 12 px."""
    boxes = np.tile([500, 400, 512, 412], (20, 1)) + np.arange(20)[:, None]
    proposals = Proposals(
        boxes.astype(np.float32),
        np.ones(20, np.float32),
        np.array([0, 20]),
        np.array([0]),
    )
    how = NegativeSettings(min_proposals=5, max_per_image=9, **given)
    table = mine_chips(images(70), settings, 0, 0, proposals, how)
    return sorted(table['level'][~table['positive']].tolist())


def test_the_coarsest_level_has_negative_chips_too():
    assert set(negatives(PLAIN)) == {1}
    assert set(negatives(FOCUSED)) == {0, 1}
    ranges = [(60, None), (0, 80)]
    assert set(negatives(FOCUSED, valid_ranges=ranges)) == {1}


@pytest.mark.parametrize(
    'sizes', [(5, 20), (20, 5, 30), (5, 20, 10), 5, 'few', ('a', 'b', 'c')]
)
def test_wrong_sizes(sizes):
    with pytest.raises(ValueError, match='focus_sizes must be .low, high, en'):
        ChipSettings(PYRAMID, focus_sizes=sizes)
