"""Measures how many pixels AutoFocus looks at."""

import time
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from sniper_mmdet.chips.focus import focus_labels
from sniper_mmdet.registry import METRICS
from sniper_mmdet.structures import annotated_boxes


@METRICS.register_module()
class PixelsMetric(BaseMetric):
    """Pixels that AutoFocus looks at, relative to the whole pyramid.

    Results:

    - ``side``: the side of a square of the mean number of level pixels that
      are looked at per image, as in the paper
    - ``share``: the share of the whole pyramid's pixels, in %, and
      ``share_level{k}``, that of each level's
    - ``images_per_second`` after the first batch, with all time included
    - ``focus_recall``: the share of the true FocusPixels of all levels that
      are found, in %; those that an earlier level does not lead to are missed
    - ``focus_precision``: the share of the found FocusPixels that are true,
      without those that do not count
    - ``threshold_level{k}``: the median over all images of the least
      probability of a FocusPixel that is used; inf if the budget allows none

    ``focus_recall`` and ``focus_precision`` need annotated boxes in the
    samples, ``threshold_level{k}`` needs a budget.

    Args:
        *args, **kwargs: Arguments of mmengine's BaseMetric.
    """

    default_prefix = 'pixels'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        now = time.time()
        for sample in data_samples:
            if 'focus' not in sample:
                raise ValueError(
                    'PixelsMetric needs a sniper_mmdet.AutoFocus detector: '
                    'a result has no field focus.'
                )
            focus = sample['focus']
            pixels = focus['pixels'], focus['pyramid_pixels']
            bounded = focus.get('budget', np.inf) < np.inf
            used = focus['thresholds'] if bounded else []
            self.results.append((*pixels, _count(focus, sample), now, used))

    def compute_metrics(self, results: list) -> dict[str, float]:
        seen, whole, counts, times, thresholds = map(
            np.array, zip(*results, strict=True)
        )
        result = dict(
            side=np.sqrt(seen.sum(1).mean()),
            share=100 * seen.sum() / whole.sum(),
        )
        for level, share in enumerate(seen.sum(0) / whole.sum(0)):
            result[f'share_level{level}'] = 100 * share
        for level, used in enumerate(thresholds.T):
            result[f'threshold_level{level}'] = np.median(used)
        hits, true, found = counts.sum(0)
        if true:
            result['focus_recall'] = 100 * hits / true
        if found:
            result['focus_precision'] = 100 * hits / found
        times = times - times.min()
        if times.any():
            result['images_per_second'] = (times > 0).sum() / times.max()
        return {name: float(value) for name, value in result.items()}


def _count(focus: dict, sample: dict) -> np.ndarray:
    """FocusPixels of one image: found and true; true; found and counted."""
    counts = np.zeros(3, int)
    if 'bboxes' not in sample.get('gt_instances', {}):
        return counts
    boxes = annotated_boxes(sample)
    image = np.array(sample['ori_shape'][::-1])
    # The finest level has no probabilities.
    keys = 'sizes', 'probabilities', 'thresholds'
    levels = zip(*(focus[key] for key in keys), strict=False)
    for size, probability, threshold in levels:
        scale = np.tile(size / image, 2)
        labels = focus_labels(boxes * scale, size, **focus['labels'])
        found, true = probability >= threshold, labels == 1
        kinds = found & true, true, found & (labels >= 0)
        counts += [np.count_nonzero(kind) for kind in kinds]
    return counts
