"""Where a pass for negative chips looks, and how much that is."""

import numpy as np
import pytest

from sniper_mmdet.chips import FocusedPass, FocusSettings

STEP = FocusSettings(threshold=0.1, dilation=1, min_size=8)
#: Levels of an image of 160x160, a factor of two apart.
SIZES = np.array([[80, 80], [160, 160], [320, 320]])
WHOLE = [np.array([[0, 0, 80, 80]])]
AREA = SIZES.prod(1).sum()


def area(chips):
    return (chips[:, 2:] - chips[:, :2]).prod(1).sum()


def spots(**values):
    """A map of 10x10 cells of 8 px: x and y of cells, and what they have."""
    found = np.full((10, 10), 0.01)
    for place, value in values.items():
        found[int(place[2]), int(place[1])] = value
    return found


def chips(focused, probability, seed=0, looked=WHOLE, step=STEP):
    rng = np.random.default_rng(seed)
    return focused.chips(probability, SIZES, looked, step, 8, rng)


@pytest.mark.parametrize('seed', range(20))
@pytest.mark.parametrize('share', [0.06, 0.15, 0.5])
def test_an_image_is_within_its_share(seed, share):
    rng = np.random.default_rng(seed)
    focused = FocusedPass(share)
    step = FocusSettings(threshold=0.2, min_size=int(rng.integers(1, 200)))
    looked = list(WHOLE)
    for level in range(2):
        probability = rng.random((10, 10) if level == 0 else (20, 20))
        looked.append(chips(focused, probability, seed, looked, step))
    assert sum(map(area, looked)) <= share * AREA
    assert len(looked[1]) > 0 or share < 0.15


def test_what_is_left_is_divided_by_pixels():
    """0.4 of 134400 less 6400 is 47360; a fifth is for the middle level."""
    ramp = np.linspace(0.2, 0.9, 100).reshape(10, 10)
    assert 47360 / 5 * 0.8 < area(chips(FocusedPass(0.4), ramp)) <= 47360 / 5


def test_a_coarsest_level_above_the_share_is_alone():
    focused = FocusedPass(0.04)  # it has 0.048
    assert len(chips(focused, np.ones((10, 10)))) == 0


def test_thresholds_are_lower_than_in_tests():
    probability = spots(_35=0.015)
    probability[probability < 0.015] = 0
    none = FocusedPass(factor=1, elsewhere=0)
    assert len(chips(none, probability)) == 0
    found = chips(FocusedPass(elsewhere=0), probability)
    assert found.tolist() == [[48, 80, 64, 96]]


def test_places_elsewhere_are_drawn():
    nothing = np.zeros((10, 10))
    drawn = {
        seed: chips(FocusedPass(0.5), nothing, seed).tolist()
        for seed in range(9)
    }
    assert all(1 <= len(found) <= 2 for found in drawn.values())
    assert len({str(found) for found in drawn.values()}) == 9
    assert drawn[3] == chips(FocusedPass(0.5), nothing, 3).tolist()
    assert not nothing.any()  # it is the image's own map
    assert len(chips(FocusedPass(elsewhere=0), nothing)) == 0


def test_a_large_least_chip_is_made_small_enough():
    step = FocusSettings(threshold=0.1, min_size=256)
    probability = spots(_35=0.9)
    found = chips(FocusedPass(0.4, elsewhere=0), probability, step=step)
    assert len(found) == 1
    assert area(found) <= 47360 / 5


@pytest.mark.parametrize(
    'settings, sentence',
    [
        (dict(share=0), 'share must be .* up to 1. Received: 0.'),
        (dict(share=1.5), 'share must be .* Received: 1.5.'),
        (dict(factor='low'), "factor must be .* Received: 'low'."),
        (dict(elsewhere=-1), 'elsewhere must be .* Received: -1.'),
    ],
)
def test_wrong_settings(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        FocusedPass(**settings)
