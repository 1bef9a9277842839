"""AutoFocus within a budget of pixels."""

import numpy as np
import pytest
import torch
from test_autofocus import (  # noqa: F401
    HEAD,
    autofocus,
    detect,
    image,
    sample,
    scope,
)

from sniper_mmdet.evaluation import PixelsMetric

#: Everything, the most probable first.
ALL = dict(focus=[dict(threshold=0, min_size=32)] * 2)


def used(found):
    return sum(found.focus['pixels'])


def test_each_image_has_its_budget():
    model = autofocus(budget=0.3, **ALL)
    model.focus_head.out.weight.data *= 100  # values that are far apart
    images = [image(400, 300, seed=1), image(200, 320, seed=2)]
    found = detect(model, *images)
    for result in found:
        whole = sum(result.focus['pyramid_pixels'])
        assert result.focus['budget'] == 0.3 * whole
        assert 0.25 * whole < used(result) <= 0.3 * whole
        maps = result.focus['probabilities']
        for least, map_ in zip(result.focus['thresholds'], maps, strict=True):
            assert least > 0 and least in map_
    (alone,) = detect(model, images[1])
    assert alone.focus['thresholds'] == pytest.approx(
        found[1].focus['thresholds'], abs=1e-5
    )


@pytest.mark.parametrize('budget', [dict(budget=1), dict(budget_mpixel=9)])
def test_a_budget_for_all_changes_nothing(budget):
    img = image(200, 150)
    focus = [dict(threshold=0.45, min_size=32)] * 2
    torch.manual_seed(0)
    (bounded,) = detect(autofocus(focus=focus, **budget), img)
    torch.manual_seed(0)
    (free,) = detect(autofocus(focus=focus), img)
    assert used(free) < sum(free.focus['pyramid_pixels'])
    assert (
        bounded.focus['thresholds'] == free.focus['thresholds'] == [0.45] * 2
    )
    for key in ('bboxes', 'scores', 'labels'):
        assert torch.equal(
            bounded.pred_instances[key], free.pred_instances[key]
        )


def test_a_threshold_still_holds():
    (found,) = detect(
        autofocus(budget=0.9, focus=[dict(threshold=2)] * 2), image()
    )
    assert found.focus['pixels'] == [64 * 80, 0, 0]
    assert found.focus['thresholds'] == [2, 2]


def test_a_budget_below_the_coarsest_level_of_an_image():
    """Of Mpixel it is known for an image only, which is then seen coarsely."""
    model = autofocus(budget_mpixel=0.0125, **ALL)
    large, small = detect(model, image(320, 256), image(80, 64))
    assert large.focus['pixels'] == [160 * 128, 0, 0]
    assert large.focus['thresholds'][0] == np.inf
    assert small.focus['pixels'][:2] == [40 * 32, 80 * 64]
    assert used(small) <= 12500


def test_levels_share_the_budget_equally():
    """What the middle level leaves is the finest one's."""
    model = autofocus(
        ground_truth=True,
        budget=0.5,
        focus_head=dict(HEAD, sizes=(2, 400, 600)),
        focus=[dict(threshold=0.5, dilation=1, min_size=16)] * 2,
    )
    img = image(400, 300)
    coarse, middle, fine = 200 * 150, 400 * 300, 600 * 450
    rest = 0.5 * (coarse + middle + fine) - coarse
    (found,) = detect(model, img, boxes=[(0, 0, 300, 290)])
    pixels = found.focus['pixels']
    assert 0.7 * rest / 2 < pixels[1] <= rest / 2
    assert pixels[2] <= rest - pixels[1]
    # Eight cells of the coarse level, 14 of the middle one.
    (found,) = detect(model, img, boxes=[(0, 0, 200, 200)])
    pixels = found.focus['pixels']
    assert pixels == [coarse, 256**2, 336**2]
    assert pixels[1] < rest / 2 < pixels[2] < rest - pixels[1]
    assert found.focus['thresholds'] == [0.5, 0.5]


@pytest.mark.parametrize(
    'budget, sentence',
    [
        (dict(budget=0), 'budget must be a share'),
        (dict(budget=1.5), 'budget must be a share'),
        (dict(budget=0.05), 'budget must be at least 0.0715: the coarsest'),
        (dict(budget=0.2, budget_mpixel=1), 'not both'),
    ],
)
def test_wrong_budgets(budget, sentence):
    with pytest.raises(ValueError, match=sentence):
        autofocus(**budget)


def test_an_rpn_alone_has_none():
    """As a stage of training, of a config that has a budget."""
    (found,) = detect(autofocus(rpn_only=True, budget=0.2), image())
    assert 'focus' not in found and len(found.pred_instances) > 10


def test_the_metric_tells_thresholds():
    def evaluate(**changes):
        metric = PixelsMetric()
        img = image()
        found = autofocus(**changes).predict([img], [sample(img)])
        metric.process(None, [result.to_dict() for result in found])
        return found[0].focus['thresholds'], metric.evaluate(1)

    thresholds, result = evaluate(budget=0.5, **ALL)
    for level, threshold in enumerate(thresholds):
        assert result[f'pixels/threshold_level{level}'] == threshold
    assert not any('threshold' in key for key in evaluate(**ALL)[1])
