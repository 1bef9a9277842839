"""Positive chips of random data sets and of small ones worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniper_mmdet.chips import (
    CHIP_DTYPE,
    BoxState,
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    assign_boxes,
    box_coverage,
    classify_boxes,
    mine_chips,
    valid_boxes,
    whole_in,
)
from sniper_mmdet.chips.boxes import is_whole_in

PYRAMIDS = [
    ImagePyramid([1.0]),
    ImagePyramid([(-1, 512), 1.667, 3.0], [(120, None), (32, 150), (0, 80)]),
    ImagePyramid([(200, 333), (600, 1000)], [(40, None), (0, 90)]),
    ImagePyramid([0.2, 0.77]),
]


@st.composite
def datasets(draw):
    """(ImageBoxes, ChipSettings): up to four images of up to 12 boxes."""
    sizes = draw(
        st.lists(
            st.tuples(st.integers(1, 1500), st.integers(1, 1500)), max_size=4
        )
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    boxes = []
    for size in sizes:
        count = draw(st.integers(0, 12))
        corner = rng.uniform(0, 1, (count, 2)) * size
        side = np.exp(rng.uniform(0, 6.5, (count, 2)))
        found = np.concatenate(
            [corner, np.minimum(corner + side, size)], 1
        ).astype(np.float32)
        # Annotations are often of whole pixels, and reach the borders.
        boxes.append(np.rint(found) if draw(st.booleans()) else found)
    chip_size = draw(st.sampled_from([32, 100, 512]))
    stride = draw(st.sampled_from([5, 17, (20, 31)]))
    pyramid = draw(st.sampled_from(PYRAMIDS))
    images = ImageBoxes.from_lists(sizes, boxes)
    return images, ChipSettings(pyramid, chip_size, stride)


def regions(table):
    return np.stack([table[k] for k in ('x1', 'y1', 'x2', 'y2')], 1)


def places(table):
    """The rows of a table but for their seeds."""
    names = [name for name in CHIP_DTYPE.names if name != 'seed']
    return table[names].tolist()


def image_of_box(images):
    return np.repeat(np.arange(len(images)), np.diff(images.offsets))


def one_image(size, boxes):
    return ImageBoxes.from_lists([size], [boxes])


@given(data=datasets(), seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_every_valid_box_lies_whole_in_a_chip_of_its_level(data, seed):
    images, settings = data
    table = mine_chips(images, settings, seed)
    corners = regions(table)
    image = image_of_box(images)
    must = valid_boxes(images, settings)
    for box, level in np.argwhere(must):
        rows = corners[
            (table['image'] == image[box]) & (table['level'] == level)
        ]
        x1, y1, x2, y2 = images.boxes[box]
        # Half a hundredth of a pixel for corners stored as float32.
        assert (
            (rows[:, 0] < x1 + 5e-3)
            & (rows[:, 1] < y1 + 5e-3)
            & (rows[:, 2] > x2 - 5e-3)
            & (rows[:, 3] > y2 - 5e-3)
        ).any()
        # And the chip takes it for an object, not for one that is cut.
        states = [
            classify_boxes(images.boxes[box], row, (0, np.inf))[0]
            for row in rows
        ]
        assert BoxState.VALID in states
    assert box_coverage(images, settings, table)[must].all()


@given(data=datasets(), seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_chips_lie_in_their_image_and_are_of_chip_size(data, seed):
    images, settings = data
    table = mine_chips(images, settings, seed)
    x1, y1, x2, y2 = regions(table).T
    width = images.widths[table['image']]
    height = images.heights[table['image']]
    assert (x1 >= 0).all() and (x2 <= width).all() and (x1 < x2).all()
    assert (y1 >= 0).all() and (y2 <= height).all() and (y1 < y2).all()
    level = settings.pyramid.level_sizes(width, height)
    level = np.take_along_axis(level, table['level'][:, None, None], 1)[:, 0]
    sides = np.stack([x2 - x1, y2 - y1], 1) * level
    sides /= np.stack([width, height], 1)
    expected = np.minimum(level, settings.chip_size)
    assert sides == pytest.approx(expected, abs=0.01)


@given(data=datasets(), seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_every_chip_holds_a_valid_box(data, seed):
    images, settings = data
    table = mine_chips(images, settings, seed)
    # With a smaller stride more boxes are valid.
    valid = valid_boxes(images, settings, settings.stride_bounds[0])
    for row, region in zip(table, regions(table), strict=True):
        level = row['level']
        span = slice(*images.offsets[row['image'] :][:2])
        states = classify_boxes(
            images.boxes[span], region, settings.pyramid.bounds[level]
        )
        assert (valid[span, level] & (states == BoxState.VALID)).any()


@given(data=datasets(), seed=st.integers(0, 99), epoch=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_table_is_a_function_of_its_arguments(data, seed, epoch):
    images, settings = data
    np.random.seed(1)
    table = mine_chips(images, settings, seed, epoch)
    np.random.seed(2)
    again = mine_chips(images, settings, seed, epoch)
    assert table.dtype == CHIP_DTYPE and table.tobytes() == again.tobytes()
    order = np.lexsort((table['level'], table['image']))
    assert (order == np.arange(len(table))).all()
    assert table['positive'].all()


def crowd(num_images=3, seed=0, size=1000):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, size - 20, (num_images, 40, 2))
    boxes = np.concatenate([corner, corner + 20], 2)
    return ImageBoxes.from_lists([(size, size)] * num_images, boxes)


def test_other_epochs_and_seeds_give_other_chips():
    settings = ChipSettings(ImagePyramid([1.0]), 200, 20)
    tables = [
        str(places(mine_chips(crowd(), settings, *key)))
        for key in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    assert len(set(tables)) == 4


def test_seeds_of_chips_differ():
    settings = ChipSettings(ImagePyramid([1.0]), 200, 20)
    table = mine_chips(crowd(10), settings)
    assert len(np.unique(table['seed'])) == len(table) > 100


@given(data=datasets(), other=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_chips_of_an_image_do_not_depend_on_the_others(data, other):
    images, settings = data
    if len(images) == 0:
        return
    table = mine_chips(images, settings)
    kept = other % len(images)
    strangers = crowd(len(images) + 2, other, 200)
    sizes = [(200, 200)] * len(strangers)
    boxes = [strangers.of_image(i) for i in range(len(strangers))]
    sizes[kept] = images.widths[kept], images.heights[kept]
    boxes[kept] = images.of_image(kept)
    changed = mine_chips(ImageBoxes.from_lists(sizes, boxes), settings)
    assert places(table[table['image'] == kept]) == places(
        changed[changed['image'] == kept]
    )


def test_stride_is_drawn_anew_each_epoch_and_within_its_bounds():
    boxes = [(x, 10, x + 5, 15) for x in range(0, 4000, 150)]
    images = one_image((4000, 100), boxes)
    settings = ChipSettings(ImagePyramid([1.0]), 100, (56, 59))
    drawn = set()
    for epoch in range(60):
        left = mine_chips(images, settings, 0, epoch)['x1']
        left = left[left < 3900].astype(int)  # the last is off the grid
        drawn.add(max(s for s in range(1, 100) if (left % s == 0).all()))
    assert drawn == {56, 57, 58, 59}


@pytest.mark.parametrize('scale', [1.0, 2.0, 4.0])
def test_two_corners_by_hand(scale):
    chip = int(50 * scale)
    settings = ChipSettings(ImagePyramid([scale]), chip, chip // 2)
    boxes = [(80, 80, 90, 90), (10, 10, 20, 20), (15, 15, 20, 20)]
    images = one_image((100, 100), boxes)
    table = mine_chips(images, settings)
    assert sorted(regions(table).tolist()) == [
        [0, 0, 50, 50],
        [50, 50, 100, 100],
    ]
    assert table['image'].tolist() == table['level'].tolist() == [0, 0]


def test_image_smaller_than_a_chip_is_one_chip():
    images = one_image((90, 40), [(0, 0, 90, 40), (3, 3, 8, 8)])
    settings = ChipSettings(ImagePyramid([0.5, 1.0]), 100, 20)
    table = mine_chips(images, settings)
    assert regions(table).tolist() == [[0, 0, 90, 40]] * 2
    assert table['level'].tolist() == [0, 1]


def test_nothing_to_mine():
    settings = ChipSettings(PYRAMIDS[1])
    for images in (
        ImageBoxes.from_lists([], []),
        ImageBoxes.from_lists([(640, 480)] * 2, [[], []]),
        one_image((640, 480), [(5, 5, 6, 90)]),  # too thin
    ):
        table = mine_chips(images, settings)
        assert len(table) == 0 and table.dtype == CHIP_DTYPE
        assert box_coverage(images, settings, table).shape == (
            len(images.boxes),
            3,
        )


def test_levels_and_limits_of_valid_boxes_by_hand():
    pyramid = ImagePyramid([0.5, 1.0], [(40, None), (0, 60)])
    settings = ChipSettings(pyramid, chip_size=100, stride=(10, 20))
    boxes = [
        (0, 0, 30, 30),  # small: fine level only
        (0, 0, 50, 50),  # both
        (0, 0, 40, 40),  # of exactly the lower bound
        (0, 0, 60, 60),  # of exactly the upper bound
        (0, 0, 78.9, 20),  # 100 - 20 - 1 = 79 level pixels are too many
        (0, 0, 79, 20),
        (0, 0, 157.9, 157.9),
        (0, 0, 158, 158),
        (0, 0, 1.9, 30),  # below min_side
        (0, 0, 2, 30),
    ]
    images = one_image((400, 400), boxes)
    assert valid_boxes(images, settings).astype(int).tolist() == [
        [0, 1],
        [1, 1],
        [1, 1],
        [1, 0],
        [0, 1],
        [0, 0],
        [1, 0],
        [0, 0],
        [0, 0],
        [0, 1],
    ]
    # The limit is that of the stride.
    assert valid_boxes(images, settings, stride=10)[[5, 7]].tolist() == [
        [False, True],
        [True, False],
    ]


def test_a_side_no_longer_than_a_chip_limits_no_box():
    settings = ChipSettings(ImagePyramid([1.0]), 100, 20)
    images = one_image((100, 300), [(0, 0, 100, 70), (0, 0, 70, 100)])
    assert valid_boxes(images, settings)[:, 0].tolist() == [True, False]


def test_coverage_by_hand():
    pyramid = ImagePyramid([0.5, 1.0], [(40, None), (0, 60)])
    boxes = [(0, 0, 50, 50), (20, 0, 70, 50), (0, 0, 10, 10), (0, 0, 70, 70)]
    images = ImageBoxes.from_lists([(400, 400)] * 3, [[], boxes, boxes[:1]])
    table = np.zeros(2, CHIP_DTYPE)
    table['image'], table['level'] = 1, (0, 1)
    for row, side in zip(table, (200, 60), strict=True):
        row['x2'] = row['y2'] = side
    assert box_coverage(images, ChipSettings(pyramid), table).tolist() == [
        [True, True],
        [True, False],  # sticks out of the smaller chip
        [False, True],  # too small for the coarse level
        [True, False],
        [False, False],  # of another image
    ]


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (dict(chip_size=0), 'chip_size must be a positive.*Received: 0'),
        (dict(chip_size=51.5), 'chip_size must be a positive whole number'),
        (dict(stride=0), 'stride must be a positive number.*Received: 0'),
        (dict(stride=(59, 56)), r'low <= high. Received: \(59, 56\)'),
        (dict(stride=512), 'stride must be below chip_size'),
        (dict(chip_size=58), r'Received: stride \(56, 59\), chip_size 58'),
    ],
)
def test_settings_that_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        ChipSettings(ImagePyramid([1.0]), **changes)


def test_a_compiled_loop_finds_whole_boxes_as_numpy_does():
    """Also of boxes that stick out by the tolerance, to the last bit."""
    steps = np.linspace(-0.02, 0.02, 401)
    region = np.array([32, 32, 64, 64], np.float32)
    boxes = np.tile(region, (len(steps), 4, 1))
    for side in range(4):
        boxes[:, side, side] += steps.astype(np.float32)
    boxes = boxes.reshape(-1, 4)
    expected = whole_in(boxes, region)
    assert expected.any() and not expected.all()
    found = [is_whole_in(box, region) for box in boxes]
    assert found == expected.tolist()


def test_boxes_are_assigned_to_the_first_chip_that_holds_them():
    images = ImageBoxes.from_lists(
        [(400, 400)] * 2, [[(5, 5, 9, 9)], [(5, 5, 9, 9), (95, 5, 105, 9)]]
    )
    settings = ChipSettings(ImagePyramid([0.5, 1.0], [(0, 1), (0, 1)]))
    table = np.zeros(4, CHIP_DTYPE)
    table['image'], table['level'] = 1, (0, 1, 1, 1)
    table['x1'], table['y2'] = (200, 0, 0, 90), 100
    table['x2'] = (300, 100, 100, 190)
    assert assign_boxes(images, settings, table).tolist() == [
        [-1, -1],
        [-1, 1],
        [-1, 3],
    ]
