"""The greedy cover, compared with a brute-force one."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniper_mmdet.benchmark.mining import random_boxes
from sniper_mmdet.chips import RELEASED_COCO, mine_chips
from sniper_mmdet.chips.cover import axis_positions, greedy_cover


def cover(boxes, width, height, chip, stride, state=0):
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    state = np.array([state], np.uint64)
    chips, owner = greedy_cover(boxes, width, height, chip, stride, state)
    return [tuple(c) for c in chips.tolist()], owner.tolist()


def candidates(extent, chip, stride):
    last = max(extent - chip, 0)
    return sorted({*range(0, last, stride), last})


def boxes_held(boxes, width, height, chip, stride):
    """Dict of each candidate chip to the set of boxes that it holds whole."""
    return {
        (x, y): {
            i
            for i, (x1, y1, x2, y2) in enumerate(boxes)
            if x <= x1 and x2 <= x + chip and y <= y1 and y2 <= y + chip
        }
        for x in candidates(width, chip, stride)
        for y in candidates(height, chip, stride)
    }


@st.composite
def scenes(draw):
    size = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    chip = draw(st.integers(8, 120))
    count = draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    # Whole, half and quarter pixels: many boxes end where a chip does.
    grain = 2 ** draw(st.integers(0, 2))
    corner = rng.integers(0, np.array(size) * grain, (count, 2)) / grain
    sides = rng.integers(0, (chip + 2) * grain, (count, 2)) / grain
    sides[::2] /= 4
    boxes = np.concatenate([corner, np.minimum(corner + sides, size)], 1)
    stride = draw(st.integers(1, chip - 1))
    return boxes.tolist(), *size, chip, stride


@given(scene=scenes(), state=st.integers(0, 2**64 - 1))
@settings(max_examples=150, deadline=None)
def test_every_pick_is_a_greedy_one(scene, state):
    held = boxes_held(*scene)
    chips, owner = cover(*scene, state)
    missing = set(range(len(scene[0])))
    for number, chip in enumerate(chips):
        taken = held[chip] & missing
        most = max(len(boxes & missing) for boxes in held.values())
        assert len(taken) == most > 0
        assert {i for i, n in enumerate(owner) if n == number} == taken
        missing -= taken
    assert not missing & set.union(*held.values())
    assert all(owner[i] == -1 for i in missing)


@pytest.mark.parametrize(
    ('extent', 'chip', 'stride', 'expected'),
    [
        (100, 50, 20, [0, 20, 40, 50]),
        (100, 50, 25, [0, 25, 50]),
        (100, 50, 50, [0, 50]),
        (51, 50, 20, [0, 1]),
        (50, 50, 20, [0]),
        (7, 50, 20, [0]),
    ],
)
def test_positions_by_hand(extent, chip, stride, expected):
    assert axis_positions(extent, chip, stride).tolist() == expected


def test_cover_by_hand():
    # Candidates at 0 and 50 along both axes.
    boxes = [
        (0, 0, 10, 10),
        (20, 20, 50, 50),
        (60, 60, 70, 70),
        (45, 0, 55, 10),  # across the border of all
        (50, 0, 100, 50),  # fills its chip
        (30, 30, 35, 35),
    ]
    chips, owner = cover(boxes, 100, 100, 50, 50)
    assert chips[0] == (0, 0)
    assert set(chips[1:]) == {(50, 50), (50, 0)}
    assert owner[0] == owner[1] == owner[5] == 0 and owner[3] == -1
    assert chips[owner[2]] == (50, 50) and chips[owner[4]] == (50, 0)


def test_one_chip_rather_than_two():
    # Only the candidate in the middle holds both.
    chips, owner = cover([(30, 5, 40, 10), (60, 5, 70, 10)], 100, 50, 50, 25)
    assert chips == [(25, 0)] and owner == [0, 0]


def test_image_smaller_than_a_chip():
    chips, owner = cover([(0, 0, 30, 20), (5, 5, 6, 6)], 30, 20, 50, 20)
    assert chips == [(0, 0)] and owner == [0, 0]


def test_no_boxes():
    assert cover([], 100, 100, 50, 20) == ([], [])


def by_reading_all_cells(held, state, enough):
    """The same chips from a reading of every candidate for each of them.

    Args:
        held (dict): Boxes by candidate, row by row.
        state (int): Of the generator.
        enough (int): See greedy_cover.

    Returns:
        tuple: Chips in the order taken, and the state after the last draw.
    """
    chips, todo = [], set().union(*held.values())
    while todo:
        best, ties, pick = 0, 0, None
        for place, boxes in held.items():
            count = len(boxes & todo)
            if count > best:
                best, ties, pick = count, 1, place
            elif count == best > 0:
                ties += 1
                state = (state + 0x9E3779B97F4A7C15) % 2**64
                if splitmix(state) % ties == 0:
                    pick = place
        if best < enough:
            break
        chips.append(pick)
        todo -= held[pick]
    return chips, state


def splitmix(z):
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


@given(
    scene=scenes(), state=st.integers(0, 2**64 - 1), enough=st.integers(1, 3)
)
@settings(max_examples=150, deadline=None)
def test_draws_are_those_of_reading_all_cells(scene, state, enough):
    """Row by row, so that a run can be repeated by any later version."""
    held = boxes_held(*scene)
    held = {
        place: held[place] for place in sorted(held, key=lambda p: p[::-1])
    }
    expected = by_reading_all_cells(held, state, enough)
    boxes = np.array(scene[0], np.float64).reshape(-1, 4)
    state = np.array([state], np.uint64)
    chips, _ = greedy_cover(boxes, *scene[1:], state, enough)
    assert (list(map(tuple, chips.tolist())), int(state[0])) == expected


def test_cost_is_not_chips_times_cells():
    """40 images like those from the air; reading all cells takes 2 s."""
    images = random_boxes(40, 500, image=(8000, 6000))
    times = []
    for epoch in range(4):  # the first one compiles
        start = time.process_time()
        table = mine_chips(images, RELEASED_COCO, 0, epoch)
        times.append(time.process_time() - start)
    assert len(table) > 10_000
    assert min(times) < 0.6


def test_ties_are_drawn_evenly():
    # Chips at 0, 20 and 40 hold the box; the one at 60 does not.
    draws = [
        cover([(45, 5, 48, 8)], 110, 40, 50, 20, state)[0][0]
        for state in range(600)
    ]
    counts = [draws.count((x, 0)) for x in (0, 20, 40)]
    assert sum(counts) == 600
    assert min(counts) > 150


def test_a_box_that_sticks_out_is_not_held():
    """By so little, too: CutChip would take it for a box that is cut."""
    for state in range(20):
        chips, _ = cover([(19.9995, 5, 21, 8)], 200, 50, 50, 20, state)
        assert chips == [(0, 0)]
