"""Pixels and FocusPixels of results by hand."""

import numpy as np
import pytest
import torch

from sniper_mmdet.evaluation import PixelsMetric


@pytest.fixture
def clock(monkeypatch):
    """Half a second passes between two batches."""
    ticks = iter(np.arange(0, 100, 0.5))
    monkeypatch.setattr('time.time', lambda: next(ticks))


def test_images_a_second(clock):
    metric = PixelsMetric()
    focus = looked((20, 20), [[1.0, 1], [1, 1]])
    for _ in range(3):
        metric.process({}, [dict(focus=focus)] * 4)
    assert metric.evaluate(12)['pixels/images_per_second'] == 8


def test_pixels_and_shares(clock):
    metric = PixelsMetric()
    for pixels in ([100, 300, 0], [100, 0, 0]):
        focus = dict(pixels=pixels, pyramid_pixels=[100, 400, 500])
        metric.process({}, [dict(focus=focus)])
    result = metric.evaluate(2)
    assert result.pop('pixels/images_per_second') == 2
    assert result == pytest.approx(
        {
            'pixels/side': 250**0.5,
            'pixels/share': 25,
            'pixels/share_level0': 100,
            'pixels/share_level1': 37.5,
            'pixels/share_level2': 0,
        }
    )


def looked(size, probability):
    return dict(
        pixels=[100, 0],
        pyramid_pixels=[100, 400],
        sizes=[size, (2 * size[0], 2 * size[1])],
        probabilities=[np.array(probability)],
        thresholds=[0.5],
        labels=dict(stride=10, sizes=(3, 12, 16), precedence='positive'),
    )


def annotated(shape, boxes, ignored=()):
    def instances(found):
        found = torch.tensor(found, dtype=torch.float32).reshape(-1, 4)
        return dict(bboxes=found)

    return dict(
        ori_shape=shape,
        gt_instances=instances(boxes),
        ignored_instances=instances(ignored),
    )


def test_recall_and_precision_of_focus_pixels():
    metric = PixelsMetric()
    # Levels of half the size of the image: 20x20 px, two by two cells.
    first = looked((20, 20), [[0.6, 0.4], [0.5, -1]])
    sample = annotated((40, 40), [(4, 4, 16, 16)])  # all cells are true
    metric.process({}, [dict(sample, focus=first)])
    # The last cell is true, the one above does not count.
    second = looked((20, 20), [[0.9, 0.9], [0.1, 0.9]])
    sample = annotated((40, 40), [(22, 22, 38, 38)], [(22, 2, 50, 30)])
    metric.process({}, [dict(sample, focus=second)])
    # Without annotations nothing is counted.
    metric.process({}, [dict(focus=looked((20, 20), [[1.0, 1], [1, 1]]))])
    result = metric.evaluate(3)
    assert result['pixels/focus_recall'] == pytest.approx(100 * 3 / 5)
    assert result['pixels/focus_precision'] == pytest.approx(100 * 3 / 4)


def test_other_detectors():
    with pytest.raises(ValueError, match='needs a sniper_mmdet.AutoFocus'):
        PixelsMetric().process({}, [dict(pred_instances=None)])
