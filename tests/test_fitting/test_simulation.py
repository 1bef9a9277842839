"""What AutoFocus would find and look at, counted by hand."""

import numpy as np
import pytest
from made_recordings import recorded, recording

from sniper_mmdet.chips import FocusSettings
from sniper_mmdet.fitting.simulation import Setting, Simulation

STEP = FocusSettings(threshold=0.5, dilation=1, min_size=8)
OPEN = (None, None)


def map_with(shape, **cells):
    """Zeros, but for cells named by row and column: ``_12=0.9``."""
    values = np.zeros(shape)
    for name, value in cells.items():
        values[int(name[1]), int(name[2])] = value
    return values


def two_levels(rows, objects=()):
    maps = [map_with((4, 4), _11=0.9, _30=0.4)]
    image = recorded((64, 64), (0.5, 1.0), maps, rows, objects)
    return Simulation(recording((0.5, 1.0), image))


@pytest.mark.parametrize(
    'level, box, border, is_kept',
    [
        (0, [0, 0, 60, 60], 2, True),  # the coarse level is whole
        (1, [18, 18, 30, 30], 2, True),
        (1, [17, 18, 30, 30], 2, False),  # near a side
        (1, [17, 18, 30, 30], 1, True),
        (1, [14, 18, 30, 30], 1, False),  # over a side
        (1, [40, 40, 50, 50], 1, False),  # not looked at
    ],
)
def test_what_a_chip_shows_whole_is_found(level, box, border, is_kept):
    simulation = two_levels([(level, 0.9, box)])
    setting = Setting((0, 1), (OPEN, OPEN), (STEP,), border)
    assert simulation.kept(0, setting).tolist() == [is_kept]
    assert simulation.kept(0, setting.whole).tolist() == [True]


def test_the_image_cuts_nothing():
    maps = [map_with((4, 4), _00=0.9)]
    rows = [(1, 0.9, [0, 0, 9, 9]), (1, 0.9, [0, 0, 15, 9])]
    image = recorded((64, 64), (0.5, 1.0), maps, rows, [])
    setting = Setting((0, 1), (OPEN, OPEN), (STEP,), 5)
    kept = Simulation(recording((0.5, 1.0), image)).kept(0, setting)
    assert kept.tolist() == [True, False]


def test_ranges_and_pixels_and_ap():
    box, large = [18, 18, 30, 30], [0, 0, 60, 60]
    rows = [(0, 0.9, box), (1, 0.8, box), (0, 0.7, large), (1, 0.6, large)]
    simulation = two_levels(rows, [box, large])
    ranges = (20, None), (None, 20)
    setting = Setting((0, 1), ranges, (STEP,), 1)
    assert simulation.kept(0, setting).tolist() == [False, True, True, False]
    point = simulation.point(setting)
    assert point.pixels == 32**2 + 16**2
    assert point.share == point.pixels / (32**2 + 64**2)
    assert point.AP == 100
    # Without FocusPixels the small object is missed.
    step = FocusSettings(threshold=0.95)
    missed = simulation.point(Setting((0, 1), ranges, (step,), 1))
    assert missed.AP == pytest.approx(100 * 51 / 101)
    assert missed.pixels == 32**2
    whole = simulation.point(setting.whole)
    assert (whole.AP, whole.share) == (100, 1)


def test_a_map_counts_where_its_level_is_looked_at():
    fine = map_with((8, 8), _33=0.9, _66=0.9)
    maps = [map_with((4, 4), _11=0.9), fine]
    rows = [(2, 0.9, [49, 49, 60, 60]), (2, 0.9, [97, 97, 108, 108])]
    scales = (0.25, 0.5, 1.0)
    image = recorded((128, 128), scales, maps, rows, [])
    simulation = Simulation(recording(scales, image))
    setting = Setting((0, 1, 2), (OPEN,) * 3, (STEP, STEP), 1)
    assert simulation.kept(0, setting).tolist() == [True, False]
    pixels = 32**2 + 16**2 + 16**2
    assert simulation.point(setting).pixels == pixels
    # Of two levels the middle one is the coarsest, and whole.
    setting = Setting((1, 2), (OPEN,) * 2, (STEP,), 1)
    assert simulation.kept(0, setting).tolist() == [True, True]
