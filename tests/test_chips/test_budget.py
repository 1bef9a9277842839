"""FocusChips within a budget, against trying each number of FocusPixels."""

import numpy as np
import pytest

from sniper_mmdet.chips import FocusSettings, ImagePyramid
from sniper_mmdet.chips.budget import FocusBudget, chips_within, count_pixels
from sniper_mmdet.chips.focus import focus_chips, move_chips


def plain_chips(mask, size, new_size, settings, stride):
    how = settings.dilation, settings.min_size, stride
    chips = focus_chips(mask, size, 0.5, *how)
    return move_chips(chips, size, new_size, stride)


@pytest.mark.parametrize('seed', range(12))
def test_as_many_of_the_most_probable_as_fit(seed):
    rng = np.random.default_rng(seed)
    stride = int(rng.choice([4, 8, 16]))
    cells = rng.integers(1, 15, 2)
    size = np.maximum(cells[::-1] * stride - rng.integers(0, stride, 2), 1)
    new_size = np.rint(size * rng.uniform(1, 4)).astype(int)
    map_ = rng.random(cells).astype(np.float32)
    if seed % 2:
        map_[rng.random(cells) < 0.3] = rng.choice([-1, np.nan])
    settings = FocusSettings(
        float(rng.choice([0, 0.6])),
        int(rng.integers(1, 6)),
        int(rng.integers(1, 5 * stride)),
    )
    order = np.argsort(-map_, axis=None, kind='stable')
    all_pixels = [0]
    for count in range(1, np.count_nonzero(map_ >= settings.threshold) + 1):
        mask = np.isin(np.arange(map_.size), order[:count])
        mask = mask.reshape(cells)
        chips = plain_chips(mask, size, new_size, settings, stride)
        all_pixels.append(count_pixels(chips))
    whole = all_pixels[-1]
    for most in (0, *(whole * rng.random(5)), whole - 1, whole, np.inf):
        chips, least = chips_within(
            map_, size, new_size, settings, stride, most
        )
        assert count_pixels(chips) <= max(most, 0)
        if whole <= most:
            assert least == settings.threshold
            continue
        # All values are different: the least tells how many there are.
        count = np.count_nonzero(map_ >= least)
        assert count_pixels(chips) == all_pixels[count]
        assert all_pixels[count + 1] > most


def test_one_chip_after_the_other_by_hand():
    map_ = np.zeros((10, 30), np.float32)
    map_[2, 3], map_[5, 15], map_[7, 27] = 0.5, 0.75, 0.25
    # A cell is 16 px, 32 at the next level: each chip has 96x96.
    given = map_, (480, 160), (960, 320), FocusSettings(0.2, 3, 16), 16

    def corners(most):
        chips, least = chips_within(*given, most)
        return chips[:, :2].tolist(), least

    middle, left, right = [448, 128], [64, 32], [832, 192]
    area = 96**2
    assert corners(area - 1) == ([], np.inf)
    assert corners(area) == ([middle], 0.75)
    assert corners(2 * area) == ([left, middle], 0.5)
    assert corners(3 * area - 1) == ([left, middle], 0.5)
    assert corners(3 * area) == ([left, middle, right], 0.2)


def test_of_equal_ones_the_first_go_first():
    map_ = np.zeros((10, 30))
    map_[2, 3] = map_[5, 15] = map_[7, 27] = 1
    settings = FocusSettings(0.5, 3, 16)
    chips, least = chips_within(
        map_, (480, 160), (960, 320), settings, 16, 2 * 96**2
    )
    assert chips[:, :2].tolist() == [[64, 32], [448, 128]] and least == 1


def test_pixels_of_a_budget():
    sizes = np.array([[100, 50], [400, 200]])
    assert FocusBudget(0.2).pixels(sizes) == 0.2 * 85000
    assert FocusBudget(mpixel=0.01).pixels(sizes) == 10000
    assert FocusBudget().pixels(sizes) == np.inf


@pytest.mark.parametrize(
    'given, sentence',
    [
        (dict(share=0), 'budget must be a share .* Received: 0'),
        (dict(share=-0.1), 'budget must be a share .* Received: -0.1'),
        (dict(share=1.5), 'budget_mpixel is in Mpixel. Received: 1.5'),
        (dict(share=float('nan')), 'Received: nan'),
        (dict(share='x'), "Received: 'x'"),
        (dict(mpixel=0), 'budget_mpixel must be a positive .* Received: 0'),
        (dict(mpixel=-2), 'budget_mpixel must be a positive'),
        (dict(mpixel='x'), "Received: 'x'"),
        (dict(share=0.2, mpixel=2), 'not both. Received: 0.2 and 2'),
    ],
)
def test_wrong_budgets(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        FocusBudget(**given)


def test_the_coarsest_level_is_within_a_share():
    pyramid = ImagePyramid([0.5, 1.0, 2.0])  # 1 of 21
    with pytest.raises(ValueError, match='at least 0.0477: .* Received: 0.04'):
        FocusBudget(0.04).check(pyramid)
    for budget in (FocusBudget(0.0477), FocusBudget(mpixel=1e-6)):
        budget.check(pyramid)
    # It depends on the image.
    FocusBudget(0.01).check(ImagePyramid([(480, 512), (800, 1280)]))
