"""Settings proposed for data sets whose sizes are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniper_mmdet.chips import (
    RELEASED_COCO,
    ChipSettings,
    FocusSettings,
    ImageBoxes,
    ImagePyramid,
    box_sizes,
    from_coco,
    valid_boxes,
)
from sniper_mmdet.tuning import focus_share, forecast, suggest
from sniper_mmdet.tuning.costs import some_images


def squares(sizes, image=(1000, 800)):
    """One image a box: squares of these sides in the upper left corner."""
    boxes = [np.array([[0, 0, size, size]], np.float32) for size in sizes]
    images = image if isinstance(image, list) else [image] * len(boxes)
    return ImageBoxes.from_lists(images, boxes)


def octaves(low, high, count=400):
    return np.geomspace(low, high, count)


def test_sizes_like_those_of_coco_give_settings_like_those_released():
    advice = suggest(squares(octaves(8, 480), (640, 480)))
    assert advice.scales == ((-1, 512), 1.5, 3.0)
    # Within a fifth of 80 and 32 to 150; the coarsest begins at 120 there.
    assert advice.valid_ranges == ((80, None), (42, 160), (None, 80))
    assert advice.test_valid_ranges == ((66, None), (35, 192), (None, 96))
    assert (advice.chip_size, advice.stride) == (512, (56, 59))
    assert advice.focus_sizes == (5, 64, 90)
    assert advice.focus == (
        FocusSettings(0.02, 3, 256),
        FocusSettings(0.2, 3, 320),
    )
    assert any('enlarging more than 3' in text for text in advice.reasons)


@pytest.mark.real_data
def test_coco_costs_and_covers_what_it_does_as_released(shared_data):
    file = shared_data / 'coco_annotations/instances_446.json'
    images = from_coco(str(file))
    advice = suggest(images)
    mine = forecast(images, advice.settings)
    theirs = forecast(images, RELEASED_COCO)
    for key in ('chips_per_image', 'pixels_per_image', 'boxes_covered'):
        assert mine[key] == pytest.approx(theirs[key], rel=0.05)
    assert mine['uncovered_boxes'] <= theirs['uncovered_boxes']


def test_one_size_gives_one_level():
    advice = suggest(squares([40] * 30))
    assert advice.scales == (1.6,)
    assert advice.valid_ranges == advice.test_valid_ranges == ((None, None),)
    assert (advice.chip_size, advice.focus) == (256, ())


def test_small_objects_in_large_images_give_no_level_that_sees_nothing():
    images = squares(octaves(20, 60), (6000, 4000))
    advice = suggest(images)
    assert len(advice.scales) == 1 and 2.5 < advice.scales[0] <= 3
    assert forecast(images, advice.settings)['seen'][0] > 60


def test_large_objects_are_not_made_small_where_a_chip_holds_the_image():
    advice = suggest(squares(octaves(200, 400), (640, 480)))
    assert (advice.scales, advice.chip_size) == (((-1, 512),), 512)
    # Nor is a small image enlarged for them.
    advice = suggest(squares(octaves(150, 200), (256, 200)))
    assert (advice.scales, advice.chip_size) == (((-1, 256),), 256)


def test_nothing_is_enlarged_more_than_three_times():
    assert suggest(squares([5] * 9)).scales == (3.0,)


def test_levels_are_named_by_the_long_side_where_sizes_follow_it():
    ratios = np.geomspace(1, 3, 60)
    sizes = np.tile([20, 22, 24], 20)
    sides = [(int(500 * r), int(400 * r)) for r in ratios]
    advice = suggest(squares(sizes * ratios, sides))
    assert len(advice.scales) == 1 and advice.scales[0][0] == -1
    factors = advice.settings.pyramid.factors(*np.array(sides).T)[:, 0]
    assert (factors * sizes * ratios).min() > 60
    assert 'long side' in advice.reasons[0]
    # But not where they do not.
    advice = suggest(squares(sizes, sides))
    assert isinstance(advice.scales[0], float)
    # Nor where it takes several levels, here one for sizes ten times as large.
    sizes = np.tile([20, 22, 240], 20)
    advice = suggest(squares(sizes * ratios, sides))
    assert len(advice.scales) > 1
    assert all(isinstance(scale, float) for scale in advice.scales[1:])


def test_two_sizes_of_images_are_a_coincidence():
    """Frames of the cars from the air; AP was a fifth of that of factors."""
    sizes = [25, 28, 30] * 10 + [50, 56, 60] * 10
    sides = [(684, 547)] * 30 + [(1920, 1080)] * 30
    advice = suggest(squares(sizes, sides))
    assert advice.scales == (2.56,)


def test_boxes_twice_as_large_in_images_twice_as_large_halve_the_factors():
    sizes = octaves(30, 900)
    one = suggest(squares(sizes, (1600, 1200)))
    two = suggest(squares(2 * sizes, (3200, 2400)))
    assert len(one.scales) == len(two.scales) == 3
    assert one.scales[0] == two.scales[0] == (-1, one.chip_size)
    np.testing.assert_allclose(
        one.scales[1:], 2 * np.array(two.scales[1:]), rtol=0.01
    )
    np.testing.assert_allclose(
        2 * one.settings.pyramid.bounds, two.settings.pyramid.bounds, atol=2
    )
    assert one.chip_size == two.chip_size


@pytest.mark.parametrize('num_levels', [1, 2, 3, 5])
def test_levels_as_many_as_asked_for(num_levels):
    images = squares(octaves(8, 480), (640, 480))
    advice = suggest(images, num_levels=num_levels)
    assert len(advice.scales) == num_levels
    assert len(advice.focus) == num_levels - 1
    factors = advice.settings.pyramid.factors(640, 480)
    assert factors[-1] == 3 or num_levels == 1
    assert (np.diff(factors) > 0).all()


def test_a_smaller_chip_is_for_smaller_sizes():
    images = squares(octaves(30, 60))
    advice = suggest(images, chip_size=256)
    assert advice.target == (pytest.approx(46.15, abs=0.1), 120)
    assert advice.settings.stride == (28, 30)
    assert advice.scales[-1] < suggest(images).scales[-1]
    assert valid_boxes(images, advice.settings).any(1).all()


def test_a_chip_holds_the_longest_boxes():
    boxes = np.array([[0, 0, 160, 10]] * 20, np.float32)
    images = ImageBoxes.from_lists([(2000, 1000)], [boxes])
    advice = suggest(images)
    assert advice.chip_size > 256
    assert valid_boxes(images, advice.settings).any(1).all()


def test_boxes_too_long_for_every_chip_get_a_coarser_level():
    """Before, 5% of these trained nowhere: they are no larger than others."""
    boxes = np.array(
        [[0, 0, 25, 25]] * 60 + [[0, 0, 50, 50]] * 60 + [[0, 0, 220, 11]] * 6,
        np.float32,
    )
    images = ImageBoxes.from_lists([(2000, 1000)], [boxes])
    advice = suggest(images)
    assert advice.scales == (1.28, 2.56)
    assert valid_boxes(images, advice.settings).any(1).mean() > 0.95
    assert '282 px there' in advice.reasons[1]
    # Where the image is a chip they fit.
    images = ImageBoxes.from_lists([(240, 240)], [boxes])
    assert suggest(images).scales == ((-1, 512),)


def test_no_level_between_two_groups_of_sizes():
    sizes = [10] * 80 + [1000] * 20
    images = squares(sizes, (4000, 3000))
    advice = suggest(images)
    assert advice.scales == (0.188, 3)
    coarse, fine = advice.valid_ranges
    assert coarse[0] < 64 < 80 == fine[1]
    assert valid_boxes(images, advice.settings).any(1).all()
    # As many as are asked for.
    assert len(suggest(images, num_levels=4).scales) == 4
    # One box suffices.
    images = squares([*sizes, 100], (4000, 3000))
    assert advice.scales != suggest(images).scales


@st.composite
def datasets(draw):
    count = draw(st.integers(1, 6))
    sides = st.integers(60, 3000)
    sizes = [(draw(sides), draw(sides)) for _ in range(count)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = draw(st.floats(3, 100))
    spread = draw(st.floats(1, 50))
    boxes = []
    for size in sizes:
        side = low * spread ** rng.uniform(0, 1, (20, 1))
        side = np.minimum(side * rng.uniform(0.8, 1.25, (20, 2)), size)
        corner = rng.uniform(0, 1, (20, 2)) * (size - side)
        boxes.append(np.concatenate([corner, corner + side], 1))
    return ImageBoxes.from_lists(sizes, boxes)


@settings(max_examples=60, deadline=None)
@given(
    datasets(),
    st.none() | st.integers(1, 5),
    st.none() | st.sampled_from([96, 256, 512]),
)
def test_properties(images, num_levels, chip_size):
    advice = suggest(images, chip_size, num_levels)
    for pyramid in (advice.settings.pyramid, advice.test_pyramid):
        bounds = pyramid.bounds
        assert bounds[0, 1] == np.inf and bounds[-1, 0] == 0
        # Neighbours overlap: there is a level for every size.
        assert (bounds[1:, 1] >= 1.2 * bounds[:-1, 0]).all()
        assert (np.diff(bounds, axis=0) <= 0).all()
    trained = advice.settings.pyramid.bounds
    tested = advice.test_pyramid.bounds
    assert (tested[:, 0] <= trained[:, 0]).all()
    assert (tested[:, 1] >= trained[:, 1]).all()
    assert chip_size in (None, advice.chip_size)
    assert advice.chip_size % 32 == 0 and 64 <= advice.chip_size <= 512
    if num_levels != 1 and isinstance(advice.scales[-1], float):
        assert advice.scales[-1] <= 3
    levels = advice.settings.pyramid.level_sizes(images.widths, images.heights)
    longest = np.maximum(images.widths, images.heights).max()
    assert levels.max() <= 3 * 2**0.5 * max(longest, advice.chip_size)
    # A range ends where its sizes fit a chip; ends are rounded up.
    factors = advice.settings.pyramid.factors(images.widths, images.heights)
    if all(isinstance(scale, float) for scale in advice.scales[1:]):
        ends = (trained[1:, 1] - 1) * factors[:, 1:].max(0)
        assert (ends <= 0.475 * advice.chip_size).all()
    found = forecast(images, advice.settings)
    assert found['valid_boxes_covered'] == 1
    invalid = ~valid_boxes(images, advice.settings).any(1)
    assert found['uncovered_boxes'] <= invalid.sum()


def test_what_is_expected_of_settings_by_hand():
    pyramid = ImagePyramid([1.0, 2.0], [(40, None), (0, 50)])
    images = squares([20, 30, 48, 300], (400, 300))
    found = forecast(images, ChipSettings(pyramid, 256, 20))
    # 300 px is longer than 235; 48 is for both levels.
    assert found['uncovered_boxes'] == 1
    assert found['chips_per_level'] == [1, 3]
    assert found['seen'][1] == 54  # of 40, 48, 60 and 96
    assert found['test_pixels_per_image'] == 5 * 400 * 300


def test_share_of_pixels_of_true_focus_pixels():
    pyramid = ImagePyramid([1.0, 2.0])
    steps = [FocusSettings(0.02, 1, 64)]
    images = squares([20], (640, 320))
    # 20 px mark three cells of 16; a chip has four at least.
    share = focus_share(images, pyramid, (5, 64, 90), steps)
    assert share == ((640 * 320 + 128**2) / (5 * 640 * 320), 1)
    # Nothing small, nothing to look at.
    images = squares([200], (640, 320))
    assert focus_share(images, pyramid, (5, 64, 90), steps) == (0.2, 1)


def test_boxes_that_true_focus_pixels_reach():
    """What is too small on the coarse level is found from there by no head."""
    pyramid = ImagePyramid([0.25, 1.0], [(60, None), (0, 90)])
    steps = [FocusSettings(0.02, 1, 16)]
    far = np.array([[500, 200, 516, 216]], np.float32)
    near = np.array([[0, 0, 40, 40]], np.float32)
    large = np.array([[0, 0, 300, 300]], np.float32)
    boxes = np.concatenate([far, near, large])
    images = ImageBoxes.from_lists([(640, 320)], [boxes])
    share = focus_share(images, pyramid, (5, 64, 90), steps)
    assert share.boxes == pytest.approx(2 / 3)
    assert focus_share(images, pyramid, (3, 64, 90), steps).boxes == 1
    # Of what a FocusChip shows, only what the range of its level holds.
    narrow = ImagePyramid([0.25, 1.0], [(60, None), (0, 30)])
    assert focus_share(images, narrow, (3, 64, 90), steps).boxes < 0.7
    images = ImageBoxes.from_lists([(640, 320)], [boxes[:0]])
    assert focus_share(images, pyramid, (3, 64, 90), steps).boxes == 1


def test_some_images_are_spread_over_all():
    images = squares(range(10, 20))
    some = some_images(images, 4)
    assert box_sizes(some.boxes).tolist() == [10, 13, 16, 19]
    assert some_images(images, 10) is images


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (dict(num_levels=0), 'num_levels must be at least 1. Received: 0.'),
        (dict(chip_size=100), 'multiple of 32, at least 64. Received: 100.'),
        (dict(target=(90, 9)), '0 < low < high. Received: (90, 9).'),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError) as error:
        suggest(squares([30]), **arguments)
    assert sentence in str(error.value)


@pytest.mark.parametrize('sizes', [[], [1.5, 1]])
def test_nothing_is_proposed_without_boxes(sizes):
    with pytest.raises(ValueError, match=f'Received: {len(sizes)} boxes'):
        suggest(squares(sizes))
