"""Levels that suit a detector that is trained already."""

import numpy as np
import pytest
from mmengine.config import Config

from sniper_mmdet.chips import ImageBoxes
from sniper_mmdet.sniperize.focus_plan import (
    plan_for,
    trained_for,
    usable_strides,
)

SIZES = np.linspace(20, 60, 41)


def images(sizes=SIZES, size=(2000, 1000)):
    """One object an image, in its corner."""
    boxes = [np.float32([[0, 0, side, side]]) for side in sizes]
    return ImageBoxes.from_lists(np.array([size] * len(boxes)), boxes)


def plain(**resize):
    steps = [dict(type='LoadImageFromFile')]
    if resize:
        steps.append(dict(type='Resize', **resize))
    data = dict(type='CocoDataset', pipeline=steps)
    return Config(dict(model={}, test_dataloader=dict(dataset=data)))


@pytest.mark.parametrize(
    'resize, factor',
    [
        ({}, 1),
        (dict(scale_factor=1.5, keep_ratio=True), 1.5),
        (dict(scale=(1000, 600), keep_ratio=True), 0.5),
        (dict(scale=(600, 1000), keep_ratio=True), 0.5),
        (dict(scale=(4000, 800), keep_ratio=True), 0.8),
        (dict(scale=500), 0.25),
    ],
)
def test_a_plain_detector_is_for_what_it_was_resized_to(resize, factor):
    found, (low, high) = trained_for(plain(**resize), images())
    assert found == pytest.approx(factor)
    # The 5th and the 95th percentile of 20 to 60 px.
    assert (low, high) == pytest.approx((22 * factor, 58 * factor))


def test_sizes_that_are_all_alike_are_given_room():
    _, target = trained_for(plain(), images([30] * 5))
    assert target == (30, 60)


@pytest.mark.parametrize(
    'scales, ranges, factor, target',
    [
        # Test ranges are wider than those of training by 1.2.
        ([0.5, 2.0], [(60, None), (0, 120)], 2, (36, 200)),
        ([(500, 1000), (2000, 4000)], [(60, None), (0, 120)], 2, (36, 200)),
        ([0.5, 2.0], None, 2, (64, 240)),
    ],
)
def test_a_pyramid_is_for_its_ranges(scales, ranges, factor, target):
    cfg = Config(dict(model=dict(scales=scales, valid_ranges=ranges)))
    found = trained_for(cfg, images())
    assert found[0] == pytest.approx(factor)
    assert found[1] == pytest.approx(target)


def test_strides_that_focus_pixels_can_have():
    maps = [(64, 4), (64, 8), (64, 32), (64, 16)]
    assert usable_strides(maps) == [8, 16]
    assert usable_strides([(64, 4), (64, 32)]) == [4]
    with pytest.raises(ValueError, match=r'Received: strides \[32, 64\]'):
        usable_strides([(64, 32), (64, 64)])


def test_a_plan_or_why_there_is_none():
    plan = plan_for(images(), [2.0], (40.0, 200.0), [8, 16])
    assert plan.factors[-1] == 2 and plan.stride in (8, 16)
    assert plan.boxes >= 0.99
    with pytest.raises(ValueError, match='cannot help here: no coarser'):
        plan_for(images([2.0] * 9), [2.0], (40.0, 200.0), [8, 16])
    # A level that shows 300 px as 90 px shows 8 px as 2.4 px.
    text = 'at most 0.3: objects of 8 and 300 px .* have 2.4 and 90 px there'
    with pytest.raises(ValueError, match=text):
        plan_for(images([8.0] * 9 + [300.0] * 9), [1.5], (16.0, 90.0), [8])


def test_the_finest_of_levels_that_cost_alike():
    """The coarsest one has no level before it that notices 8 px."""
    given = images([8.0] * 9), (8.0, 40.0), [8]
    with pytest.raises(ValueError, match='a finest level of 1 times'):
        plan_for(given[0], [1.0], *given[1:])
    plan = plan_for(given[0], [1.0, 2.0, 3.0], *given[1:])
    assert plan.factors[-1] == 3
    # Where half of the image is looked at, a finer level costs more.
    x, y = np.meshgrid(np.arange(0, 1000, 60), np.arange(0, 990, 60))
    corners = np.stack([x, y, x + 8, y + 8], -1).reshape(-1, 4)
    many = ImageBoxes.from_lists([(2000, 1000)], [np.float32(corners)])
    plan = plan_for(many, [1.0, 2.0, 3.0], *given[1:])
    assert plan.factors[-1] == 2


def test_sizes_that_a_plan_misses_by_little(capsys):
    """21.5 px are too large for 3.0 times and too small for 0.667 times."""
    sizes = np.r_[[7.6] * 6, np.linspace(7.6, 30, 60), [76.4] * 3]
    plan = plan_for(images(sizes), [3.0], (17.9, 53.0), [8])
    assert plan.factors[-1] == 3
    assert 'no plan for objects of 18 to 53 px' in capsys.readouterr().err
