"""Recall of proposals, as a metric of tests."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from sniper_mmdet.registry import METRICS

from .coco import RECALL_SIZES, proposal_recall


@METRICS.register_module()
class ProposalRecallMetric(BaseMetric):
    """Average recall of proposals, also by object size (SNIPER, table 1).

    It works with any dataset whose test pipeline loads annotations and does
    not resize. Ignored objects do not count. Results, in %: ``AR``, ``AR50``,
    ``AR75`` and ``AR_{low}-{high}``.

    Args:
        num (int): Number of best proposals per image that count. Defaults to
            900.
        ranges (Sequence[tuple]): (low, high) sizes, original pixels. Defaults
            to the ranges of the paper.
        *args, **kwargs: Arguments of mmengine's BaseMetric.
    """

    default_prefix = 'proposals'

    def __init__(
        self,
        num: int = 900,
        ranges: Sequence[tuple[float, float]] = RECALL_SIZES,
        *args,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.num = num
        self.ranges = ranges

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            if 'gt_instances' not in sample:
                raise ValueError(
                    'ProposalRecallMetric needs annotations: the test '
                    'pipeline has no LoadAnnotations.'
                )
            found = sample['pred_instances']
            boxes = sample['gt_instances']['bboxes']
            boxes = np.asarray(getattr(boxes, 'tensor', boxes).cpu())
            columns = [found['bboxes'].cpu(), found['scores'].cpu()]
            size = sample['ori_shape'][1::-1]
            self.results.append((size, boxes, np.column_stack(columns)))

    def compute_metrics(self, results: list) -> dict[str, float]:
        sizes, boxes, proposals = zip(*results, strict=True)
        recall = proposal_recall(
            np.array(sizes), boxes, proposals, self.num, self.ranges
        )
        return {name.replace(' ', '_'): v for name, v in recall.items()}
