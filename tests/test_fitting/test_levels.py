"""Levels to try, and what is found well at which."""

import numpy as np
import pytest
from made_recordings import recorded, recording

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.fitting.candidates import pyramids
from sniper_mmdet.fitting.levels import ladder, study


@pytest.mark.parametrize(
    'scales',
    [
        [0.5, 1.0, 2.0],
        [(-1, 512), (-1, 1024)],
        [(480, 512), (800, 1280), (1400, 2000)],
        [(-1, 512), 1.667, 3.0],
        [0.3, 4.0],
    ],
)
def test_the_ladder_has_the_own_levels_and_others(scales):
    size = (640, 480)
    found = ladder(scales, size)
    assert set(ImagePyramid(scales).scales) <= set(found)
    factors = ImagePyramid(found).factors(*size)
    assert (np.diff(factors) > 0).all() and len(found) >= 7
    assert (factors[1:] / factors[:-1] < 1.7).all()
    own = ImagePyramid(scales).factors(*size)
    assert factors[-1] <= max(3, own[-1]) and factors[0] <= own[-1] / 8 * 1.01


def test_steps_finer_than_the_finest():
    assert ladder([0.5, 1.0], (640, 480))[-1] == 1.414
    assert ladder([1.0, 3.0], (640, 480))[-1] == 3.0


def scene():
    """Two small and two large objects, found at some levels.

    The small ones, 16 px, at the two finest of three levels, the large ones,
    64 px, at the two coarsest.
    """
    scales = (0.25, 0.5, 1.0)
    small = [[0, 0, 16, 16], [30, 30, 46, 46]]
    large = [[60, 0, 124, 64], [60, 64, 124, 128]]
    rows = [(k, 0.9, box) for k in (1, 2) for box in small]
    rows += [(k, 0.8, box) for k in (0, 1) for box in large]
    image = recorded((128, 128), scales, [], rows, small + large)
    return recording(scales, image)


def test_the_study():
    found = study(scene(), bins=2)
    assert found.AP.shape == (3, 2)
    assert found.AP == pytest.approx(np.array([[0, 1], [1, 1], [1, 0]]) * 100)
    # Levels that find small ones, and the coarsest of them.
    assert found.as_good == (1, 2) and found.finest == 1
    # 16 px at 0.5 and 1.0, 64 px at 0.25 and 0.5: the largest is 32 px.
    assert found.target == pytest.approx((12 / 2**0.25, 32 * 2**0.25))
    assert found.edges[0] == 16 and found.edges[-1] == 65


def test_objects_of_one_size():
    box, scales = [0, 0, 9, 9], (0.5, 1.0)
    image = recorded((64, 64), scales, [], [(1, 0.9, box)], [box])
    found = study(recording(scales, image))
    assert found.AP == pytest.approx(np.array([[0], [100]]))
    assert found.finest == 1
    assert found.target == pytest.approx((9 / 2**0.25, 9 * 2**0.25))


def test_one_small_object_does_not_decide():
    """It is found at the coarser level alone, two others at the finer one."""
    scales, sides = (0.5, 1.0), (8, 10, 12, 30, 40, 50)
    boxes = [[60 * k, 0, 60 * k + n, n] for k, n in enumerate(sides)]
    rows = [(0, 0.9, boxes[0]), (1, 0.9, boxes[1]), (1, 0.9, boxes[2])]
    image = recorded((400, 64), scales, [], rows, boxes)
    assert study(recording(scales, image), bins=6).as_good == (1,)


def test_sizes_that_no_level_finds_tell_nothing():
    scales = (0.5, 1.0)
    hidden, seen = [[0, 0, 4, 4], [9, 9, 13, 13]], [[20, 20, 50, 50]] * 2
    rows = [(1, 0.9, box) for box in seen]
    image = recorded((64, 64), scales, [], rows, hidden + seen)
    found = study(recording(scales, image), bins=2)
    assert found.AP[:, 0].tolist() == [0, 0] and found.AP[1, 1] > 0
    assert found.finest == 1
    assert found.target == pytest.approx((30 / 2**0.25, 30 * 2**0.25))


def test_pyramids_and_their_ranges():
    factors = np.array([0.25, 0.5, 1.0, 1.41, 2.0])
    found = dict.fromkeys(levels for levels, _ in pyramids(factors, 2, 32))
    assert list(found) == [
        (0, 1),
        (0, 2),
        (1, 2),
        (0, 1, 2),
        (0, 3),
        (1, 3),
        (0, 1, 3),
        (0, 2, 3),
        (1, 2, 3),
    ]
    ranges = [r for levels, r in pyramids(factors, 2, 32) if levels == (0, 2)]
    assert ranges[:2] == [
        ((128.0, None), (None, 128.0)),
        ((106.7, None), (None, 153.6)),
    ]
    (three,) = [
        r
        for levels, r in pyramids(factors, 2, 32)
        if levels == (0, 1, 2) and r[0][0] == 128
    ]
    assert three == ((128.0, None), (64.0, 128.0), (None, 64.0))


def test_the_coarsest_level_shows_what_it_must_notice():
    factors = np.array([0.25, 0.5, 1.0, 2.0])

    def coarsest(smallest):
        found = pyramids(factors, 3, 32, smallest)
        return {levels[0] for levels, _ in found}

    assert coarsest(20) == {0, 1, 2} and coarsest(10) == {1, 2}
    assert coarsest(9) == {2}
    # Where no level does, all are tried.
    assert coarsest(1) == {0, 1, 2}
