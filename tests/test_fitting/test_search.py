"""Points are chosen, and found by the search."""

import numpy as np
import pytest
from made_recordings import recorded, recording
from test_simulation import OPEN

from sniper_mmdet.chips import FocusSettings
from sniper_mmdet.fitting.levels import LevelStudy
from sniper_mmdet.fitting.search import (
    best_pyramid,
    choose,
    frontier,
    near,
    search,
)
from sniper_mmdet.fitting.simulation import Point, Setting, Simulation


def points(*pairs):
    return [Point(None, AP, pixels, pixels / 100) for AP, pixels in pairs]


CURVE = points((10, 5), (30, 20), (29, 25), (39.9, 40), (40, 100))


def test_the_frontier():
    assert frontier(reversed(CURVE)) == [CURVE[k] for k in (0, 1, 3, 4)]
    assert frontier(points((5, 9), (6, 9))) == points((6, 9))


@pytest.mark.parametrize(
    'wish, chosen',
    [
        (dict(), 3),
        (dict(loss=0.05), 4),
        (dict(loss=10), 1),
        (dict(budget=0.3), 1),
        (dict(budget=1), 4),
        (dict(budget=0.01), 0),
    ],
)
def test_what_is_wanted(wish, chosen):
    assert choose(CURVE, 40, **wish) is CURVE[chosen]


def test_nothing_reaches_the_pyramid():
    assert choose(CURVE, 50) is CURVE[4]


def test_what_is_better_than_the_pyramid_is_what_counts():
    assert choose(CURVE, 25) is CURVE[3]


def test_what_is_confirmed():
    curve = points((1, 10), (2, 19), (3, 20), (4, 21), (5, 23), (6, 40))
    assert near(curve, curve[2]) == [curve[k] for k in (0, 2, 4, 5)]
    assert near(curve, curve[5]) == [curve[4], curve[5]]


def scene():
    """A small object at (18, 18), and a FocusPixel on nothing far away."""
    box = [18, 18, 30, 30]
    probabilities = np.zeros((16, 16))
    probabilities[1, 1], probabilities[12, 12] = 0.35, 0.29
    rows, maps = [(1, 0.9, box)], [probabilities]
    image = recorded((256, 256), (0.5, 1.0), maps, rows, [box])
    return Simulation(recording((0.5, 1.0), image))


def test_the_search_finds_the_least_chip_that_shows_the_object():
    simulation = scene()
    start = Setting((0, 1), (OPEN, OPEN), (FocusSettings(threshold=0.05),), 10)
    tried, wanted, whole = search(simulation, start)
    assert whole.AP == 100 and wanted.AP == 100
    (step,) = wanted.setting.focus
    # Above what is on nothing; the chip has the least side of all.
    assert 0.29 < step.threshold <= 0.35
    assert step.min_size == 32 and wanted.pixels == 128**2 + 64**2
    assert wanted is choose(tried, whole.AP)
    assert len({point.setting for point in tried}) == len(tried)


@pytest.mark.parametrize('few', [False, True])
def test_few_objects_do_not_choose_the_dilation(few):
    steps = (FocusSettings(threshold=0.05, dilation=5),)
    start = Setting((0, 1), (OPEN, OPEN), steps, 10)
    tried, _, _ = search(scene(), start, few=few)
    dilations = {point.setting.focus[0].dilation for point in tried}
    assert (dilations == {5}) == few


def test_a_budget_is_kept():
    simulation = scene()
    start = Setting((0, 1), (OPEN, OPEN), (FocusSettings(threshold=0.05),), 2)
    _, wanted, _ = search(simulation, start, budget=0.45)
    assert wanted.share <= 0.45 and wanted.AP == 100
    _, wanted, _ = search(simulation, start, budget=0.201)
    assert wanted.share == 0.2 and wanted.AP == 0


def test_the_pyramid_that_loses_nothing_for_the_fewest_pixels():
    """The third level finds the object, to which only the first leads."""
    box = [36, 36, 56, 56]
    scales = (0.25, 0.5, 1.0, 2.0)
    maps = [np.zeros((side, side)) for side in (16, 32, 64)]
    maps[0][1, 1] = 0.9
    rows = [(2, 0.9, box), (3, 0.9, box)]
    image = recorded((512, 512), scales, maps, rows, [box])
    simulation = Simulation(recording(scales, image))
    factors = simulation.recording.factors
    assert factors.tolist() == list(scales)
    found = LevelStudy(scales, factors, None, None, (2,), None)
    own = Setting((1, 3), (OPEN, OPEN), (FocusSettings(threshold=0.5),), 2)
    best = best_pyramid(simulation, found, own)
    assert best.levels == (0, 2)
    point = simulation.point(best)
    assert point.AP == 100 and point.pixels == 2 * 128**2
    # FocusPixels are up to 32 px of the coarse level, 128 of the original.
    (low, none), (also_none, high) = best.ranges
    assert none is also_none is None and low <= 128 <= high


def test_kept_levels_find_ranges_that_suit_them():
    """The coarse level finds a box where there is none, of 100 px."""
    box = [36, 36, 56, 56]
    maps = [np.zeros((16, 16))]
    maps[0][1, 1] = 0.9
    rows = [(0, 0.95, [200, 200, 300, 300]), (1, 0.9, box)]
    image = recorded((512, 512), (0.25, 1.0), maps, rows, [box])
    simulation = Simulation(recording((0.25, 1.0), image))
    factors = simulation.recording.factors
    found = LevelStudy((0.25, 1.0), factors, None, None, (1,), None)
    own = Setting((0, 1), (OPEN, OPEN), (FocusSettings(threshold=0.5),), 2)
    best = best_pyramid(simulation, found, own, keep_levels=True)
    assert best.levels == (0, 1) and 100 < best.ranges[0][0] <= 128
    assert simulation.point(best).AP == 100 > simulation.point(own).AP
