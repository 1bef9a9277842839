"""What a coarse-to-fine detector looked at."""

import time
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from sniper_mmdet.registry import METRICS


@METRICS.register_module()
class PixelsMetric(BaseMetric):
    """Pixels that an AutoFocus detector looked at, beside those of a pyramid.

    Results: ``side``, the side of a square of as many level pixels as were
    looked at in an image on average, as the paper gives it; ``share`` of the
    whole pyramid's pixels, in %, and ``share_level{k}`` of each level's;
    ``images_per_second`` between the first and the last image, whatever took
    the time.

    Args:
        collect_device (str): See mmengine's BaseMetric.
        prefix (str, optional): See mmengine's BaseMetric.
    """

    default_prefix = 'pixels'

    def __init__(
        self, collect_device: str = 'cpu', prefix: str | None = None
    ) -> None:
        super().__init__(collect_device, prefix)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            if 'focus' not in sample:
                raise ValueError(
                    'PixelsMetric needs a sniper_mmdet.AutoFocus detector: '
                    'a result has no field focus.'
                )
            focus = sample['focus']
            self.results.append(
                (focus['pixels'], focus['pyramid_pixels'], time.monotonic())
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        seen, whole, times = zip(*results, strict=True)
        seen, whole = np.array(seen, float), np.array(whole, float)
        result = dict(
            side=np.sqrt(seen.sum(1).mean()),
            share=100 * seen.sum() / whole.sum(),
        )
        for level, share in enumerate(seen.sum(0) / whole.sum(0)):
            result[f'share_level{level}'] = 100 * share
        if max(times) > min(times):
            result['images_per_second'] = (len(times) - 1) / (
                max(times) - min(times)
            )
        return {name: float(value) for name, value in result.items()}
