"""The image pyramid: sizes of its levels, valid ranges, what it refuses."""

import doctest

import mmcv
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniper_mmdet.chips import ImagePyramid, pyramid

sides = st.integers(1, 6000)


def test_the_example_in_the_docstring():
    assert doctest.testmod(pyramid).failed == 0


@pytest.mark.parametrize(
    ('scale', 'factor'),
    [
        (1.667, 1.667),
        (3, 3),
        ((-1, 512), 512 / 640),
        ((512, -1), 512 / 640),
        ([-1, 512], 512 / 640),
        ((300, 1333), 300 / 480),  # the short side is the bound
        ((1333, 300), 300 / 480),
        ((800, 320), 320 / 480),
        ((400, 500), 500 / 640),  # the long side is the bound
    ],
)
def test_factor_of_each_form_of_scale(scale, factor):
    for width, height in ((640, 480), (480, 640)):
        found = ImagePyramid([scale]).factors(width, height)
        assert found == pytest.approx([factor])


@pytest.mark.parametrize(
    ('scale', 'of_mmcv'),
    [
        (0.31, 0.31),
        (1.667, 1.667),
        (2, 2),
        ((800, 1333), (1333, 800)),
        ((1333, 800), (1333, 800)),
        ((-1, 512), (512, 512)),  # mmcv knows no open short side
    ],
)
@given(width=sides, height=sides)
@settings(max_examples=50, deadline=None)
def test_sizes_are_rounded_as_in_mmcv(scale, of_mmcv, width, height):
    expected = mmcv.image.rescale_size((width, height), of_mmcv)
    size = ImagePyramid([scale]).level_sizes(width, height)[0].tolist()
    # mmcv has sides of zero pixels, which no image can be resized to.
    assert size == [max(side, 1) for side in expected]


def test_half_a_pixel_is_rounded_up():
    assert ImagePyramid([0.5]).level_sizes(3, 5).tolist() == [[2, 3]]


def test_arrays_give_what_single_images_give():
    pyramid = ImagePyramid([(-1, 512), 1.667, (800, 1333)])
    widths, heights = np.array([640, 333, 1]), np.array([480, 1000, 7])
    sizes = pyramid.level_sizes(widths, heights)
    assert sizes.shape == (3, 3, 2)
    for i in range(3):
        one = pyramid.level_sizes(int(widths[i]), int(heights[i]))
        assert (sizes[i] == one).all()
    assert pyramid.level_sizes(widths[:0], heights[:0]).shape == (0, 3, 2)


def test_valid_ranges_are_half_open():
    pyramid = ImagePyramid(
        [0.5, 1.0, 2.0], [(120, None), (32, 150), (None, 80)]
    )
    sizes = np.array([0, 31.99, 32, 79.99, 80, 119.99, 120, 149.99, 150, 1e6])
    assert pyramid.is_valid(sizes).T.astype(int).tolist() == [
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
    ]


def test_open_ends_are_one_however_written():
    written = [(None, 80), (32, None)], [(0, 80), (32, float('inf'))]
    a, b = (ImagePyramid([1.0, 2.0], ranges) for ranges in written)
    assert a == b
    assert a.bounds.tolist() == [[0, 80], [32, np.inf]]


def test_only_one_level_for_all_boxes_is_trivial():
    assert ImagePyramid(1.0).is_trivial
    assert ImagePyramid([(800, 1333)], [(0, None)]).is_trivial
    assert not ImagePyramid([1.0, 2.0]).is_trivial
    assert not ImagePyramid([1.0], [(0, 80)]).is_trivial


@pytest.mark.parametrize(
    ('scales', 'ranges', 'sentence'),
    [
        ([], None, r'scales must name at least one level.* \[\]'),
        (
            [1.0, 2.0, 3.0],
            [(0, 80), (32, None)],
            'valid_ranges has 2 entries for 3 scales',
        ),
        ([1.0], [(80, 80)], r'0 <= low < high. Received: \(80, 80\)'),
        ([1.0], [(81, 80)], '0 <= low < high'),
        ([1.0], [(-1, 80)], '0 <= low < high'),
        ([1.0], [(float('nan'), 80)], '0 <= low < high'),
        ([1.0], [80], r'must be \(low, high\).*Received: 80'),
        ([1.0], [(1, 2, 3)], r'must be \(low, high\)'),
        ([1.0], [('0', '80')], r'must be \(low, high\)'),
        ([2.0, 1.0], None, r'coarse to fine. Received: \[2.0, 1.0\]'),
        ([(800, 1333), (400, 666)], None, 'coarse to fine'),
        ([(-1, 1024), (-1, 512)], None, 'coarse to fine'),
        # As the original lists them.
        ([3.0, 1.667, (-1, 512)], None, 'coarse to fine'),
        ([(1400, 2000), (800, 1280), (-1, 512)], None, 'coarse to fine'),
        ([0], None, 'a scale must be a positive factor.*Received: 0'),
        ([-1.5], None, 'a scale must be'),
        ([True], None, 'a scale must be'),
        ([float('inf')], None, 'a scale must be'),
        (['1.0'], None, 'a scale must be'),
        ([(512,)], None, 'a scale must be'),
        ([(0, 512)], None, 'a scale must be'),
        ([(-1, -1)], None, 'a scale must be'),
        ([(-2, 512)], None, 'a scale must be'),
        ([(None, 512)], None, 'a scale must be'),
    ],
)
def test_what_is_refused(scales, ranges, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        ImagePyramid(scales, ranges)
    assert '\n' not in str(error.value)


def test_scales_of_different_kinds_have_no_order():
    ImagePyramid([(-1, 512), 1.667, (800, 1333)])
    ImagePyramid([(-1, 512), (800, 1333)])


def test_factors_of_a_base():
    """Multiples of what the base gives, whichever of its sides counts."""
    pyramid = ImagePyramid([0.5, 1.0, (90, 200), 2.0], base=(100, 150))
    assert pyramid.factors(200, 200).tolist() == [0.25, 0.5, 0.45, 1]
    assert pyramid.factors(100, 300).tolist() == [0.25, 0.5, 200 / 300, 1]


def test_exact_levels():
    """As OpenCV and Fast R-CNN reckon: 1499x1999 px become 1600.27 px."""
    for exact, factor in ((True, 1200 / 1499), (False, 1600 / 1999)):
        pyramid = ImagePyramid([(1200, 1600)], exact=exact)
        assert pyramid.factors(1999, 1499).item() == factor
        assert pyramid.level_sizes(1999, 1499).tolist() == [[1600, 1200]]
    # 1600.53 px are too many.
    pyramid = ImagePyramid([(1200, 1600)], exact=True)
    assert pyramid.factors(749, 999).item() == 1600 / 999
    # Half a pixel is rounded to even.
    for exact, size in ((True, [2, 8]), (False, [3, 8])):
        pyramid = ImagePyramid([0.5], exact=exact)
        assert pyramid.level_sizes(5, 15).tolist() == [size]
        scale = [0.5, 0.5] if exact else [3 / 5, 8 / 15]
        assert pyramid.level_scales(5, 15).tolist() == [scale]


@pytest.mark.parametrize('base', [2.0, (0, 3), 'large'])
def test_wrong_base(base):
    with pytest.raises(ValueError, match='Received: '):
        ImagePyramid([1.0], base=base)
