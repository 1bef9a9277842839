"""Plans of AutoFocus: what they promise, and what is proposed by them."""

import time
from dataclasses import replace

import numpy as np
import pytest

from sniper_mmdet.chips import (
    FocusSettings,
    ImageBoxes,
    ImagePyramid,
    box_sizes,
    from_coco,
    whole_in,
)
from sniper_mmdet.chips.focus import focus_chips, focus_labels, move_chips
from sniper_mmdet.tuning import focus_share, propose, search_plans, suggest
from sniper_mmdet.tuning.frontier import gain_of
from sniper_mmdet.tuning.looking import look
from sniper_mmdet.tuning.plan import best_plan


def scenes(rng, count=12, boxes=5, sizes=(12, 60), side=(1920, 1080)):
    """Images with boxes of these sizes anywhere."""
    found = []
    for _ in range(count):
        size = np.exp(rng.uniform(*np.log(sizes), (boxes, 1)))
        size = size * rng.uniform(0.8, 1.25, (boxes, 2))
        corner = rng.uniform(0, 1, (boxes, 2)) * (side - size)
        found.append(np.concatenate([corner, corner + size], 1))
    return ImageBoxes.from_lists([side] * count, found)


def painted(images, pyramid, sizes, focus, stride):
    """Pixels by image and level, and boxes reached, by masks as in tests."""
    levels = pyramid.level_sizes(images.widths, images.heights)
    pixels, reached = np.zeros(levels.shape[:2], int), []
    for i, (side, own) in enumerate(zip(images.sizes, levels, strict=True)):
        boxes = images.of_image(i)
        valid = pyramid.is_valid(box_sizes(boxes))
        found, chips = valid[:, 0], np.array([[0, 0, *own[0]]])
        pixels[i, 0] = own[0].prod()
        for level, step in enumerate(focus):
            size, finer = own[level : level + 2]
            there = boxes * np.tile(size / side, 2)
            true = focus_labels(there, tuple(size), stride, sizes) == 1
            seen = np.zeros(true.shape, bool)
            for x1, y1, x2, y2 in chips // stride:
                seen[y1 : y2 + 1, x1 : x2 + 1] = True
            how = 0.5, step.dilation, step.min_size, stride
            chips = focus_chips(true & seen, tuple(size), *how)
            chips = move_chips(chips, size, finer, stride)
            pixels[i, level + 1] = (chips[:, 2:] - chips[:, :2]).prod(1).sum()
            there = boxes * np.tile(finer / side, 2)
            inside = whole_in(there[:, None], chips, 1).any(1)
            found = found | (valid[:, level + 1] & inside)
        reached.append(found)
    return pixels, np.concatenate(reached)


@pytest.mark.parametrize('seed', range(30))
def test_corners_tell_what_masks_do(seed):
    rng = np.random.default_rng(seed)
    side = rng.integers(60, 1400, 2)
    most = min(200, side.min() / 1.3)
    images = scenes(rng, 3, int(rng.integers(0, 25)), (3, most), side)
    factors = np.sort(rng.uniform(0.2, 3, rng.integers(2, 5)))
    low, high = rng.uniform(0, 60), rng.uniform(70, 400)
    pyramid = ImagePyramid(factors.tolist(), [(low, high)] * len(factors))
    focus = [
        FocusSettings(0.5, *rng.integers(1, (6, 120)).tolist())
        for _ in factors[1:]
    ]
    how = (rng.uniform(0, 5), rng.uniform(20, 90), 100), focus
    stride = int(rng.choice([4, 8, 16]))
    pixels, reached = painted(images, pyramid, *how, stride)
    looked = look(images, pyramid, *how, stride)
    np.testing.assert_array_equal(looked.pixels, pixels)
    np.testing.assert_array_equal(looked.reached, reached)


def test_a_box_beside_a_cut_is_not_reached():
    """AutoFocus leaves out what a side of a FocusChip is close to."""
    pyramid = ImagePyramid([1.0, 2.0], [(60, None), (0, 90)])
    boxes = np.array([[64, 64, 96, 96]], np.float32)
    images = ImageBoxes.from_lists([(640, 320)], [boxes])
    sizes = 5, 64, 90
    # Cells 4 to 6 of 16 px: the box ends with its first cell.
    alone = [FocusSettings(0.5, 1, 16)]
    assert look(images, pyramid, sizes, alone).reached.all()
    assert not look(images, pyramid, sizes, alone, border=10).reached.any()
    dilated = [FocusSettings(0.5, 3, 16)]
    found = look(images, pyramid, sizes, dilated, border=16)
    assert found.reached.all() and found.largest[0] == 640 * 320
    assert not look(images, pyramid, sizes, dilated, border=17).reached.any()
    # At a border of the image nothing is cut.
    corner = ImageBoxes.from_lists([(640, 320)], [boxes - 64])
    assert look(corner, pyramid, sizes, dilated, border=16).reached.all()


def test_plans_keep_what_they_promise():
    images = scenes(np.random.default_rng(0), 8, 3, (25, 60))
    plans = search_plans(images, 3.0)
    sizes = box_sizes(images.boxes)
    assert len(plans) > 3
    assert {len(plan.factors) for plan in plans} >= {2, 3}
    for plan in plans:
        assert plan.factors[-1] == 3 and plan.stride in (8, 16)
        pyramid = ImagePyramid(plan.factors, plan.test_valid_ranges)
        how = plan.sizes, plan.focus, plan.stride
        pixels, reached = painted(images, pyramid, *how)
        assert plan.pixels == pytest.approx(pixels.sum() / len(images))
        assert plan.of_finest == pytest.approx(
            plan.pixels / (5760 * 3240), rel=1e-6
        )
        assert reached.mean() >= plan.boxes >= 0.99
        bounds = pyramid.bounds
        assert (bounds[1:, 1] >= 1.3 * bounds[:-1, 0]).all()
        needing = sizes[sizes < bounds[0, 0]] * plan.factors[0]
        assert plan.noticed == pytest.approx((needing >= 5).mean())
        assert plan.noticed >= 0.95
        # What the next level trains is a FocusPixel; no side is too close.
        for step, *pair in zip(
            plan.focus, plan.factors, plan.factors[1:], strict=False
        ):
            ratio = pair[1] / pair[0]
            assert plan.sizes[1] * ratio == pytest.approx(240, rel=0.05)
            assert step.min_size * ratio >= 0.95 * (64 * 240) ** 0.5
            margin = (step.dilation - 1) / 2 * plan.stride
            assert margin >= 10 * pair[0]
    costs = [plan.cost for plan in plans]
    assert costs == sorted(costs)
    shown = [plan.smallest for plan in plans]
    assert shown == sorted(set(shown))


def test_levels_and_strides_as_asked_for():
    images = scenes(np.random.default_rng(1))
    for count in (2, 3):
        plans = search_plans(images, 3.0, num_levels=count, strides=(16,))
        assert {len(plan.factors) for plan in plans} == {count}
        assert {plan.stride for plan in plans} == {16}
    assert search_plans(images, 3.0, num_levels=5) == []
    plans = search_plans(images, 3.0, coarsest=1.2)
    assert max(plan.factors[0] for plan in plans) == 1.2


def test_no_plan_where_there_is_none():
    rng = np.random.default_rng(2)
    assert search_plans(scenes(rng, boxes=0), 3.0) == []
    # 3 px are noticed on no level that is coarser than half.
    assert search_plans(scenes(rng, sizes=(2.5, 3)), 3.0) == []
    # Of 10% such boxes too many would be lost.
    both = np.concatenate([np.full(10, 2.5), np.full(90, 40.0)])
    boxes = [[[9, 9, 9 + size, 9 + size]] for size in both]
    images = ImageBoxes.from_lists([(1920, 1080)] * 100, boxes)
    assert search_plans(images, 3.0) == []
    # 100 px are 50 px at half, and 300 px at 3: a level is for 64 to 240.
    for large, ratio in ((80, 6), (100, 5.5)):
        boxes = [[[9, 9, 9 + size, 9 + size]] for size in (40, large)]
        images = ImageBoxes.from_lists([(4000, 3000)] * 2, boxes)
        plans = search_plans(images, 3.0, num_levels=2)
        assert 3 / plans[0].factors[0] == pytest.approx(ratio, rel=0.01)


def test_what_is_chosen_of_a_frontier():
    plan = search_plans(scenes(np.random.default_rng(3)), 3.0)[0]
    plan = replace(plan, factors=(1.0, 3.0), stride=8, pixels=100.0)
    unsafe = replace(plan, pixels=80.0, noticed=0.96)
    plan = replace(plan, noticed=1.0)
    near = replace(plan, pixels=104.0, smallest=20.0)
    far = replace(plan, pixels=110.0, smallest=30.0)
    assert best_plan([unsafe, plan, near, far]) is near
    assert best_plan([unsafe]) is unsafe
    # A level more must save a third.
    more = replace(plan, pixels=70.0, factors=(0.5, 1.0, 3.0))
    assert more.cost > plan.cost
    assert replace(more, pixels=60.0).cost < plan.cost


def test_a_hundred_thousand_boxes_take_seconds():
    rng = np.random.default_rng(4)
    images = scenes(rng, 1, 1)
    search_plans(images, 3.0)  # what is compiled, is
    sizes = np.exp(rng.uniform(*np.log((12, 60)), (100_000, 1)))
    corner = rng.uniform(0, 1, (100_000, 2)) * (1800, 1000)
    boxes = np.concatenate([corner, corner + sizes], 1)
    images = ImageBoxes.from_flat([(1920, 1080)] * 10_000, boxes, [10] * 10**4)
    start = time.process_time()
    assert search_plans(images, 3.0)
    assert time.process_time() - start < 5


def test_autofocus_is_proposed_where_it_pays():
    sparse = scenes(np.random.default_rng(5))
    advice, plans = propose(sparse)
    assert advice.plan in plans and advice.plan.of_finest < 0.5
    assert advice.scales == advice.plan.factors
    assert advice.test_valid_ranges == advice.plan.test_valid_ranges
    assert advice.focus_stride == 8 and len(advice.focus) > 0
    assert advice.settings.pyramid.scales == advice.scales
    # What is expected of it is what it promises.
    how = advice.focus_sizes, advice.focus, advice.focus_stride
    share = focus_share(sparse, advice.test_pyramid, *how)
    assert share.pixels == pytest.approx(advice.plan.share)
    # Objects are everywhere: whole levels, as suggested without AutoFocus.
    crowded = scenes(np.random.default_rng(6), boxes=300, side=(640, 480))
    advice, plans = propose(crowded)
    assert advice == suggest(crowded) and plans
    assert 'does not pay here' in gain_of(advice, plans)
    assert 'has no plan here' in gain_of(advice, [])
    # Unless there is an AutoFocus detector, with a stride of its own.
    advice, _ = propose(crowded, focus_stride=16)
    assert advice.focus_stride == 16 and len(advice.scales) >= 2
    assert propose(sparse, num_levels=1) == (suggest(sparse, None, 1), [])
    assert len(propose(sparse, num_levels=3)[0].scales) == 3


REAL = [
    ('sooke_vessels', 0.08),
    ('football_players', 0.26),
    ('airbus_aircraft', 0.48),
    ('aerial_cars', 0.3),
    ('deeppcb', 0.3),
    ('faces/face_mask', 0.4),
]


@pytest.mark.real_data
@pytest.mark.parametrize('split', ['train', 'val'])
@pytest.mark.parametrize(('name', 'most'), REAL)
def test_real_images_need_little(shared_data, name, most, split):
    images = from_coco(str(shared_data / name / f'{split}.json'))
    plan = propose(images)[0].plan
    assert plan.of_finest <= most
    assert plan.boxes >= 0.99 and plan.noticed >= 0.95
