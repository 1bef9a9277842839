"""IoU and labels of RoIs as the released Soft Sampling has them."""

import torch
from mmdet.models.task_modules import AssignResult
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS

from .range_aware_assigner import RangeAwareAssigner


@TASK_UTILS.register_module()
class ReleasedOverlaps:
    """Overlaps of boxes whose intersections are a pixel longer than they are.

    Differs from BboxOverlaps2D: sides of intersections count one pixel more,
    those of boxes do not, so that the IoU is a little high, and above 1 for
    equal boxes; the share of a box in another is of its area and 1.
    """

    def __call__(
        self,
        bboxes1: Tensor,
        bboxes2: Tensor,
        mode: str = 'iou',
        is_aligned: bool = False,
    ) -> Tensor:
        """Overlaps (N, K) of all pairs.

        Args:
            bboxes1 (Tensor (N, 4)): x1, y1, x2, y2.
            bboxes2 (Tensor (K, 4)): Likewise.
            mode (str): 'iou', or 'iof': the share of those of ``bboxes1``.
                Defaults to 'iou'.
            is_aligned (bool): Must be False, the default.
        """
        if is_aligned or mode not in ('iou', 'iof'):
            raise ValueError(
                "ReleasedOverlaps compares all pairs by 'iou' or 'iof'. "
                f'Received: mode={mode!r}, is_aligned={is_aligned}.'
            )
        low = torch.max(bboxes1[:, None, :2], bboxes2[None, :, :2])
        high = torch.min(bboxes1[:, None, 2:], bboxes2[None, :, 2:])
        shared = (high - low + 1).clamp(min=0).prod(2)
        areas = (bboxes1[:, 2:] - bboxes1[:, :2]).prod(1)[:, None]
        if mode == 'iof':
            return shared / (areas + 1)
        others = (bboxes2[:, 2:] - bboxes2[:, :2]).prod(1)
        return shared / (areas + others - shared)


@TASK_UTILS.register_module()
class ReleasedSoftAssigner(RangeAwareAssigner):
    """Labels of RoIs as the released Soft Sampling has them.

    Differs from its parent in its defaults: a RoI with an IoU of 0.5 to any
    object is positive; of the others, those of which more than 0.9 lies in a
    group of objects are ignored, whatever their IoU to it; overlaps are of
    :class:`ReleasedOverlaps`. At an IoU of exactly 0.5 the object is the first
    of the image, for the original's index moves above that only.
    """

    def __init__(
        self,
        pos_iou_thr: float = 0.5,
        neg_iou_thr: float = 0.5,
        min_pos_iou: float = 0.5,
        match_low_quality: bool = False,
        ignore_iou_thr: float = float('inf'),
        in_region: float = 0.9,
        iou_calculator: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            pos_iou_thr,
            neg_iou_thr,
            min_pos_iou=min_pos_iou,
            match_low_quality=match_low_quality,
            ignore_iou_thr=ignore_iou_thr,
            in_region=in_region,
            iou_calculator=iou_calculator
            or dict(type='sniper_mmdet.ReleasedOverlaps'),
            **kwargs,
        )

    def assign_wrt_overlaps(
        self, overlaps: Tensor, gt_labels: Tensor
    ) -> AssignResult:
        result = super().assign_wrt_overlaps(overlaps, gt_labels)
        edge = (result.gt_inds > 0) & (result.max_overlaps == self.pos_iou_thr)
        if edge.any():
            result.gt_inds[edge] = 1
            result.labels[edge] = gt_labels[0]
        return result
