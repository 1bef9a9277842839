"""Pixels of results by hand."""

import pytest

from sniper_mmdet.evaluation import PixelsMetric


def test_pixels_and_shares():
    metric = PixelsMetric()
    for pixels in ([100, 300, 0], [100, 0, 0]):
        focus = dict(pixels=pixels, pyramid_pixels=[100, 400, 500])
        metric.process({}, [dict(focus=focus)])
    result = metric.evaluate(2)
    assert result.pop('pixels/images_per_second') > 0
    assert result == pytest.approx(
        {
            'pixels/side': 250**0.5,
            'pixels/share': 25,
            'pixels/share_level0': 100,
            'pixels/share_level1': 37.5,
            'pixels/share_level2': 0,
        }
    )


def test_other_detectors():
    with pytest.raises(ValueError, match='needs a sniper_mmdet.AutoFocus'):
        PixelsMetric().process({}, [dict(pred_instances=None)])
