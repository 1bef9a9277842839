"""IoU and labels of RoIs as in the released Soft Sampling."""

import torch
from mmdet.models.task_modules import AssignResult
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS

from .range_aware_assigner import RangeAwareAssigner


@TASK_UTILS.register_module()
class ReleasedOverlaps:
    """Overlaps of boxes, with intersections that are a pixel too long.

    It differs from BboxOverlaps2D: sides of intersections count one pixel
    more, sides of boxes do not. The IoU is therefore a little too high, and
    above 1 for equal boxes. The share of a box in another is relative to its
    area plus 1.
    """

    def __call__(
        self,
        bboxes1: Tensor,
        bboxes2: Tensor,
        mode: str = 'iou',
        is_aligned: bool = False,
    ) -> Tensor:
        """Return the overlaps (N, K) of all pairs.

        Args:
            bboxes1 (Tensor (N, 4)): x1, y1, x2, y2.
            bboxes2 (Tensor (K, 4)): x1, y1, x2, y2.
            mode (str): 'iou', or 'iof', the intersection's share of
                ``bboxes1``. Defaults to 'iou'.
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
    """An assigner of RoIs as in the released Soft Sampling.

    It differs from its parent in its defaults. A RoI with an IoU of 0.5 to any
    object is positive. Other RoIs are ignored if more than 0.9 of them lies in
    a group of objects, whatever their IoU to it. :class:`ReleasedOverlaps`
    computes overlaps. At an IoU of exactly 0.5 a RoI gets the first object of
    the image, because the original's index moves only above that.
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
