"""Negative chips of random proposals and of small ones worked out by hand."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniper_mmdet.chips import (
    CHIP_DTYPE,
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    NegativeSettings,
    Proposals,
    mine_chips,
    uncovered_proposals,
    valid_boxes,
)
from sniper_mmdet.chips.cover import axis_positions

ONE_LEVEL = ImagePyramid([1.0])
TWO_LEVELS = ImagePyramid([0.5, 1.0], [(40, None), (0, 40)])
PYRAMIDS = [
    ONE_LEVEL,
    ImagePyramid([(-1, 512), 1.667, 3.0], [(120, None), (32, 150), (0, 80)]),
    ImagePyramid([(200, 333), (600, 1000)], [(40, None), (0, 90)]),
    ImagePyramid([0.2, 0.77]),
]


def proposals_of(boxes, entries=None, scores=None):
    """Proposals of lists of boxes, each box scored 0.5 unless told."""
    entries = range(len(boxes)) if entries is None else entries
    counts = [len(b) for b in boxes]
    flat = [np.asarray(b, np.float32).reshape(-1, 4) for b in boxes]
    flat = np.concatenate([np.zeros((0, 4), np.float32), *flat])
    scores = np.full(len(flat), 0.5) if scores is None else np.array(scores)
    return Proposals(
        flat,
        scores.astype(np.float32),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.array(entries, np.int64),
    )


@st.composite
def datasets(draw):
    """(ImageBoxes, ChipSettings, Proposals, NegativeSettings)."""
    side = st.integers(1, 1500)
    sizes = draw(st.lists(st.tuples(side, side), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))

    def boxes_of(size, count, longest):
        # Around few places, so that chips hold many of them.
        corner = rng.uniform(0, 1, (4, 2))[rng.integers(0, 4, count)] * size
        corner = np.clip(corner + rng.normal(0, 25, (count, 2)), 0, size)
        sides = np.exp(rng.uniform(0, longest, (count, 2)))
        return np.concatenate([corner, np.minimum(corner + sides, size)], 1)

    boxes = [boxes_of(s, draw(st.integers(0, 5)), 6) for s in sizes]
    ignored = [boxes_of(s, draw(st.integers(0, 2)), 6) for s in sizes]
    found = [
        boxes_of(s, draw(st.sampled_from([0, 40, 120])), 5) for s in sizes
    ]
    entries = [i if draw(st.integers(0, 5)) else -1 for i in range(len(sizes))]
    chip_settings = ChipSettings(
        draw(st.sampled_from(PYRAMIDS)),
        draw(st.sampled_from([50, 100, 512])),
        draw(st.sampled_from([13, 31])),
    )
    negatives = NegativeSettings(
        draw(st.sampled_from([1, 2, 5, 11])),
        draw(st.sampled_from([1, 2, 1000])),
        draw(st.sampled_from([0, 0.3])),
    )
    scores = rng.uniform(0, 1, sum(map(len, found)))
    return (
        ImageBoxes.from_lists(sizes, boxes, ignored),
        chip_settings,
        proposals_of(found, entries, scores),
        negatives,
    )


def regions(table):
    return np.stack([table[k] for k in ('x1', 'y1', 'x2', 'y2')], 1)


def holds(corners, boxes):
    """(C, K) bool, with half a hundredth of a pixel for float32 corners."""
    c, b = corners[:, None], boxes[None]
    inside = (c[..., :2] < b[..., :2] + 5e-3) & (
        c[..., 2:] > b[..., 2:] - 5e-3
    )
    return inside.all(2)


def clipped(images, proposals, image):
    size = np.tile([images.widths[image], images.heights[image]], 2)
    return np.clip(proposals.boxes[proposals.span(image)], 0, size)


def levels_of(data, table):
    """Per image and level: threshold, uncovered boxes, negative regions."""
    images, settings, proposals, negatives = data
    thresholds = negatives.thresholds(len(settings.pyramid))
    for image in range(len(images)):
        asking = uncovered_proposals(
            images, settings, negatives, proposals, table, image
        )
        boxes = clipped(images, proposals, image)
        for level, threshold in enumerate(thresholds):
            rows = table[
                (table['image'] == image)
                & (table['level'] == level)
                & ~table['positive']
            ]
            yield (
                image,
                level,
                threshold,
                boxes[asking[:, level]],
                regions(rows),
            )


def mined(data, seed=0, epoch=0):
    images, settings, proposals, negatives = data
    return mine_chips(images, settings, seed, epoch, proposals, negatives)


@given(data=datasets(), seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_every_negative_chip_holds_enough_uncovered_proposals(data, seed):
    table = mined(data, seed)
    for _, _, threshold, boxes, corners in levels_of(data, table):
        held = holds(corners, boxes)
        assert (held.sum(1) >= threshold).all()
        # Each has as many of its own.
        assert held.any(0).sum() >= threshold * len(corners)


@given(data=datasets(), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_no_place_with_enough_uncovered_proposals_is_left(data, seed):
    images, settings, proposals, negatives = data
    negatives = NegativeSettings(negatives.min_proposals, 10**6)
    data = images, settings, proposals, negatives
    table = mined(data, seed)
    for image, level, threshold, boxes, corners in levels_of(data, table):
        boxes = boxes[~holds(corners, boxes).any(0)]
        size = np.array([images.widths[image], images.heights[image]])
        level_size = settings.pyramid.level_sizes(*size)[level]
        boxes = boxes * np.tile(level_size / size, 2)
        held = [
            (at[:, None] < boxes[:, axis])
            & (boxes[:, axis + 2] < at[:, None] + settings.chip_size)
            for axis in (0, 1)
            for at in [
                axis_positions(
                    level_size[axis], settings.chip_size, settings.stride
                )
            ]
        ]
        assert (held[0].astype(int) @ held[1].T < threshold).all()


@given(data=datasets(), seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_negative_chips_are_few_in_their_image_and_of_chip_size(data, seed):
    images, settings, _, negatives = data
    table = mined(data, seed)
    table = table[~table['positive']]
    counts = np.bincount(table['image'], minlength=1)
    assert counts.max() <= negatives.max_per_image
    size = np.stack([images.widths, images.heights], 1)[table['image']]
    corners = regions(table)
    low, high = corners[:, :2], corners[:, 2:]
    assert (low >= 0).all() and (high <= size).all()
    levels = settings.pyramid.level_sizes(*size.T)
    level = np.take_along_axis(levels, table['level'][:, None, None], 1)[:, 0]
    expected = np.minimum(level, settings.chip_size)
    assert (high - low) * level / size == pytest.approx(expected, abs=0.01)


@given(data=datasets())
@settings(max_examples=50, deadline=None)
def test_what_lies_in_a_region_asks_for_no_chip_and_all_else_does(data):
    images, settings, proposals, negatives = data
    plain = ImageBoxes(*images[:4])
    table = mine_chips(plain, settings)
    for image in range(len(images)):
        found, before = (
            uncovered_proposals(
                each, settings, negatives, proposals, table, image
            )
            for each in (images, plain)
        )
        boxes = clipped(images, proposals, image).astype(float)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        inside = np.zeros(len(boxes), bool)
        span = slice(*images.region_offsets[image : image + 2])
        for region in images.regions[span].astype(float):
            low = np.maximum(boxes[:, :2], region[:2])
            sides = np.minimum(boxes[:, 2:], region[2:]) - low
            inside |= sides.clip(0).prod(1) > 0.5 * areas
        assert (found == before & ~inside[:, None]).all()


@given(data=datasets(), seed=st.integers(0, 99), epoch=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_positive_chips_are_the_same_with_and_without(data, seed, epoch):
    table = mined(data, seed, epoch)
    alone = mine_chips(ImageBoxes(*data[0][:4]), data[1], seed, epoch)
    assert table[table['positive']].tobytes() == alone.tobytes()
    order = np.lexsort((~table['positive'], table['level'], table['image']))
    assert (order == np.arange(len(table))).all()


@given(data=datasets(), seed=st.integers(0, 99), other=st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_table_depends_on_neither_generators_nor_file_order(
    data, seed, other
):
    images, settings, proposals, negatives = data
    np.random.seed(1)
    table = mined(data, seed)
    count = len(images)
    entries = proposals.entries.tolist()
    order = other.sample(range(count + 1), count + 1)
    spans = [slice(*proposals.offsets[i:][:2]) for i in range(count)]
    spans.append(slice(0, 3))  # an image that the data set has not
    moved = proposals_of(
        [proposals.boxes[spans[i]] for i in order],
        [-1 if e < 0 else order.index(e) for e in entries],
        np.concatenate([proposals.scores[spans[i]] for i in order]),
    )
    np.random.seed(2)
    again = mine_chips(images, settings, seed, 0, moved, negatives)
    assert table.dtype == CHIP_DTYPE and again.tobytes() == table.tobytes()


@given(data=datasets(), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_no_valid_object_is_only_in_negative_chips(data, seed):
    images, settings = data[:2]
    table = mined(data, seed)
    positives = table['positive']
    valid = valid_boxes(images, settings)
    for image in range(len(images)):
        span = slice(*images.offsets[image:][:2])
        for level in range(len(settings.pyramid)):
            here = (table['image'] == image) & (table['level'] == level)
            boxes = images.boxes[span][valid[span, level]]
            negative = holds(regions(table[here & ~positives]), boxes)
            positive = holds(regions(table[here & positives]), boxes)
            assert (positive.any(0) | ~negative.any(0)).all()


def scattered(*counts):
    """An image with this many proposals at places that share no chip."""
    boxes = [(200 * i, 10, 200 * i + 15, 25) for i in range(len(counts))]
    boxes = np.repeat(np.array(boxes, np.float32), counts, 0)
    images = ImageBoxes.from_lists([(2000, 100)], [[]])
    return images, proposals_of([boxes])


@pytest.mark.parametrize('most', [1, 2, 4])
def test_epochs_draw_every_candidate_about_as_often(most):
    # Of other counts, for the greedy choice to find them in one order; the
    # first two are candidates of both levels.
    images, proposals = scattered(9, 8, 7, 6)
    settings = ChipSettings(ImagePyramid([0.5, 1.0]), 60, 20)
    data = images, settings, proposals, NegativeSettings((8, 3), most)
    drawn = Counter()
    for epoch in range(900):
        table = mined(data, 0, epoch)
        place = np.rint((table['x1'] + table['x2']) / 400).tolist()
        found = set(zip(table['level'].tolist(), place, strict=True))
        assert len(found) == len(table) == most
        drawn.update(found)
    # Five standard deviations of a binomial.
    slack = 5 * (900 * most / 6 * (1 - most / 6)) ** 0.5
    assert len(drawn) == 6
    assert all(abs(n - 900 * most / 6) < slack for n in drawn.values())


def test_seeds_of_negative_chips_differ():
    images, proposals = scattered(*[5] * 9)
    settings = ChipSettings(ONE_LEVEL, 60, 20)
    table = mined((images, settings, proposals, NegativeSettings(5, 9)))
    assert len(np.unique(table['seed'])) == len(table) == 9


@pytest.mark.parametrize(
    ('side', 'count', 'levels'),
    [(50, 10, []), (50, 11, [0]), (30, 25, []), (30, 26, [1])],
)
def test_released_thresholds(side, count, levels):
    images = ImageBoxes.from_lists([(400, 400)], [[]])
    proposals = proposals_of([[(9, 9, 9 + side, 9 + side)] * count])
    settings = ChipSettings(TWO_LEVELS, 100, 20)
    table = mine_chips(images, settings, 0, 0, proposals)
    assert table['level'].tolist() == levels
    assert not table['positive'].any()


def chip(x1, y1, x2, y2, image=0, level=0, positive=True):
    return image, level, positive, x1, y1, x2, y2, 0


def uncovered(boxes, table=(), scores=None, low=None, min_side=2, **changes):
    """Which boxes are uncovered at the one level, in a 200x200 image."""
    ranges = {'valid_ranges': [(low, None)], **changes}
    return uncovered_proposals(
        ImageBoxes.from_lists([(200, 200)], [[]]),
        ChipSettings(ONE_LEVEL, 100, 20, min_side),
        NegativeSettings(**ranges),
        proposals_of([boxes], scores=scores),
        np.array(list(table), CHIP_DTYPE),
        0,
    )[:, 0].tolist()


@pytest.mark.parametrize(
    ('box', 'low', 'expected'),
    [
        ((50, 50, 70, 70), 20, False),  # whole, of exactly the lower bound
        ((70, 70, 100, 100), 20, False),  # fills the corner
        ((90, 0, 130, 40), 20, False),  # 10x40 of it: the lower bound again
        ((91, 0, 131, 40), 20, True),  # 9x40
        ((0, 91, 40, 131), 20, True),
        ((98.9, 0, 130, 60), None, False),
        ((99.1, 0, 130, 60), None, True),  # less than a pixel is seen
        ((0, 99.1, 60, 130), None, True),
        ((100, 0, 130, 40), None, True),  # only touches
        ((120, 120, 150, 150), None, True),
    ],
)
def test_what_a_positive_chip_covers(box, low, expected):
    assert uncovered([box], [chip(0, 0, 100, 100)], low=low) == [expected]
    assert uncovered([box], low=low) == [True]
    for other in (
        chip(0, 0, 100, 100, image=1),
        chip(0, 0, 100, 100, level=1),
        chip(0, 0, 100, 100, positive=False),
    ):
        assert uncovered([box], [other], low=low) == [True]


def test_the_chip_that_shows_most_of_a_proposal_decides():
    most, less = chip(0, 0, 100, 100), chip(90, 0, 190, 100)
    box = (70, 0, 110, 40)  # 30x40 and 20x40 of it: sizes 34.6 and 28.3
    assert uncovered([box], [most, less], low=30) == [False]
    assert uncovered([box], [less, most], low=30) == [False]
    assert uncovered([box], [less], low=30) == [True]


@pytest.mark.parametrize(
    ('region', 'expected'),
    [
        ((0, 0, 200, 200), False),  # larger than a chip
        ((40, 40, 80, 80), False),
        ((50, 50, 61, 70), False),  # 11 of 20 columns
        ((50, 50, 60, 70), True),  # one half
        ((55, 55, 65, 65), True),  # in the proposal, a quarter of it
        ((70, 50, 90, 70), True),  # only touches
    ],
)
def test_a_region_hides_what_lies_in_it(region, expected):
    regions = [[], [region], []]
    images = ImageBoxes.from_lists([(200, 200)] * 3, [[]] * 3, regions)
    proposals = proposals_of([[(50, 50, 70, 70)] * 2] * 3)
    settings = ChipSettings(ONE_LEVEL, 100, 20)
    table = mined((images, settings, proposals, NegativeSettings(2)))
    assert table['image'].tolist() == [0] + [1] * expected + [2]
    assert not table['positive'].any()


def test_an_object_in_a_region_has_its_chip():
    region, box = [(0, 0, 400, 400)], [(50, 50, 70, 70)]
    images = ImageBoxes.from_lists([(400, 400)], [box], [region])
    proposals = proposals_of([[(300, 300, 320, 320)] * 5])
    settings = ChipSettings(ONE_LEVEL, 100, 20)
    table = mined((images, settings, proposals, NegativeSettings(2)))
    assert table['positive'].tolist() == [True]


def test_proposals_that_do_not_count():
    boxes = [(10, 10, 20, 20), (10, 10, 14.9, 40), (10, 10, 89, 20)]
    assert uncovered(boxes) == [True, True, False]  # too long for a chip
    assert uncovered(boxes, min_side=5) == [True, False, False]
    assert uncovered([boxes[0]] * 3, scores=[0.25, 0.5, 0.75]) == [True] * 3
    found = uncovered([boxes[0]] * 3, scores=[0.25, 0.5, 0.75], min_score=0.5)
    assert found == [False, True, True]
    found = uncovered(
        [(0, 0, s, s) for s in (9, 10, 19, 20)], valid_ranges=[(10, 20)]
    )
    assert found == [False, True, True, False]
    # Between its borders and the tolerance beyond them.
    edges = [(-1, -1, 1.9, 30), (-1, -1, 2, 30), (150, 198.5, 180, 201)]
    assert uncovered(edges) == [False, True, False]
    assert uncovered([(20, 20, 10, 10), (5, 5, 5, 30)]) == [False, False]


def test_sizes_that_count_at_each_level():
    pyramid = ImagePyramid(
        [0.25, 0.5, 1.0], [(120, None), (32, 150), (16, 80)]
    )
    bounds = [[120, np.inf], [0, 150], [0, 80]]
    assert NegativeSettings().bounds(pyramid).tolist() == bounds
    custom = NegativeSettings(valid_ranges=[(99, 120), (50, None), (5, 6)])
    bounds = [[99, 120], [50, np.inf], [5, 6]]
    assert custom.bounds(pyramid).tolist() == bounds
    assert pyramid.bounds[:, 0].tolist() == [120, 32, 16]
    images = ImageBoxes.from_lists([(800, 800)], [[]])
    sides = [5, 20, 60, 100, 149, 150]
    proposals = proposals_of([[(0, 0, side, side) for side in sides]])
    for negatives, levels in (
        (NegativeSettings(), ['12', '12', '12', '1', '01', '0']),
        (custom, ['2', '', '1', '01', '1', '1']),
    ):
        found = uncovered_proposals(
            images,
            ChipSettings(pyramid),
            negatives,
            proposals,
            np.zeros(0, CHIP_DTYPE),
            0,
        )
        assert [
            ''.join(map(str, np.flatnonzero(row))) for row in found
        ] == levels


def test_images_without_boxes_without_proposals_and_without_either():
    boxes = [[(10, 10, 20, 20)], [], [(10, 10, 20, 20)], [(5, 5, 9, 9)]]
    images = ImageBoxes.from_lists([(400, 100)] * 4, boxes)
    far = [(300, 50, 320, 70)] * 3
    near = [(10, 10, 20, 20)] * 9
    # The third has none in the file, the fourth the same as the first.
    proposals = proposals_of([far, [], far + near], [2, 0, -1, 2])
    settings = ChipSettings(ONE_LEVEL, 100, 50)
    table = mined((images, settings, proposals, NegativeSettings(3)))
    assert table['image'].tolist() == [0, 0, 1, 2, 3, 3]
    assert table['positive'].tolist() == [1, 0, 0, 1, 1, 0]
    negative = table[~table['positive']]
    assert set(negative['x1']) <= {250, 300}
    assert set(negative['x1'] + 100) <= {350, 400}
    for none in (
        mine_chips(images, settings, 0, 0, proposals, NegativeSettings(3, 0)),
        mine_chips(images, settings, 0, 0, proposals_of([near], [-1] * 4)),
    ):
        assert none['positive'].all() and none['image'].tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ('box', 'score', 'sentence'),
    [
        ((5, np.nan, 9, 9), 0.5, r'1 of image 1 is not finite.*nan, 9.0'),
        ((5, 5, np.inf, 9), 0.5, r'1 of image 1 is not finite.*\[5.0, 5.0, i'),
        ((5, 5, 9, 9), -np.inf, r'of image 1 is not finite.*score -inf'),
        ((5, 5, 9, 9), np.nan, r'of image 1 is not finite.*score nan'),
        ((-1.25, 5, 9, 9), 0.5, r'lies outside of the image, 300x100.*-1.25'),
        ((5, -2, 9, 9), 0.5, r'1 of image 1 lies outside.*-2.0, 9.0'),
        ((5, 5, 301.5, 9), 0.5, r'1 of image 1 lies outside.*301.5'),
        ((5, 5, 9, 102), 0.5, r'1 of image 1 lies outside.*102.0'),
        ((5, 5, -9, 9), 0.5, r'1 of image 1 lies outside.*-9.0, 9.0'),
        ((5, 999, 9, 9), 0.5, r'1 of image 1 lies outside.*999.0'),
    ],
)
def test_bad_proposals_are_named(box, score, sentence):
    images = ImageBoxes.from_lists([(300, 100)] * 2, [[], []])
    boxes = [[(1, 1, 5, 5), box], [(1, 1, 5, 5)]]
    proposals = proposals_of(boxes, [1, 0], [0.5, score, 0.5])
    proposals = proposals._replace(source='found.npz')
    with pytest.raises(ValueError, match=f'found.npz: .*{sentence}'):
        mine_chips(images, ChipSettings(ONE_LEVEL), 0, 0, proposals)


def test_proposals_may_stick_out_of_their_image_by_a_pixel():
    images = ImageBoxes.from_lists([(300, 100)], [[]])
    boxes = [[(280, 80, 301, 101)] * 2, [(-1, -1, 9, 9)] * 2]
    proposals = proposals_of([sum(boxes, [])])
    settings = ChipSettings(ONE_LEVEL, 50, 25)
    table = mined((images, settings, proposals, NegativeSettings(2)))
    assert sorted(regions(table).tolist()) == [
        [0, 0, 50, 50],
        [250, 50, 300, 100],
    ]


def test_arrays_may_be_read_only():
    images, proposals = scattered(5, 5, 5)
    images = ImageBoxes.from_lists([(2000, 100)], [[(700, 9, 709, 19)]])
    settings = ChipSettings(ONE_LEVEL, 60, 20)
    data = images, settings, proposals, NegativeSettings(5)
    expected = mined(data)
    assert expected['positive'].tolist() == [True, False, False]
    for array in (*images, *proposals[:4]):
        array.setflags(write=False)
    assert mined(data).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (dict(min_proposals=0), 'min_proposals must be .*Received: 0'),
        (dict(min_proposals=2.5), 'min_proposals must be a positive whole'),
        (dict(min_proposals=(3, 0, 3)), r'min_proposals .*\(3, 0, 3\)'),
        (dict(min_proposals=[]), r'min_proposals must be .*Received: \[\]'),
        (dict(min_proposals=(3, 3)), 'min_proposals has 2 entries for 3'),
        (dict(max_per_image=-1), 'max_per_image must be .*Received: -1'),
        (dict(max_per_image=1.5), 'max_per_image must be .*Received: 1.5'),
        (dict(max_per_image=float('inf')), 'max_per_image .*Received: inf'),
        (dict(min_score=None), 'min_score must be .*Received: None'),
        (dict(valid_ranges=[(0, 5)]), 'valid_ranges has 1 entries for 3'),
        (dict(valid_ranges=[(5, 0)] * 3), r'low < high. Received: \(5, 0\)'),
    ],
)
def test_settings_that_are_refused(changes, sentence):
    images = ImageBoxes.from_lists([(90, 90)], [[]])
    with pytest.raises(ValueError, match=sentence):
        mine_chips(
            images,
            ChipSettings(PYRAMIDS[1]),
            proposals=proposals_of([[]]),
            negatives=NegativeSettings(**changes),
        )


def test_thresholds_of_each_level():
    released = NegativeSettings()
    assert released.thresholds(3).tolist() == [11, 11, 26]
    assert released.thresholds(1).tolist() == [26]
    assert NegativeSettings(7).thresholds(3).tolist() == [7, 7, 7]
    assert NegativeSettings((7, 8)).thresholds(2).tolist() == [7, 8]


def test_proposals_of_another_number_of_images():
    images = ImageBoxes.from_lists([(100, 100)] * 3, [[], [], []])
    proposals = proposals_of([[(0, 0, 9, 9)]])
    message = 'must have 3 entries, one per image. Received: 1'
    with pytest.raises(ValueError, match=message):
        mine_chips(images, ChipSettings(ONE_LEVEL, 50, 20), 0, 0, proposals)
    nothing = proposals._replace(
        boxes=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        offsets=np.zeros(1, np.int64),
        entries=np.array([-1, -1, -1]),
    )
    table = mine_chips(images, ChipSettings(ONE_LEVEL, 50, 20), 0, 0, nothing)
    assert len(table) == 0
