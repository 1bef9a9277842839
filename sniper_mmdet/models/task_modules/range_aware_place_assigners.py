"""Assigners by places or by groups of anchors that ignore ignored boxes.

What an ignored box is like does not follow from one IoU with an anchor here:
the assigners say what an ignored box would have as the only object.
"""

import torch
from mmdet.models.task_modules import (
    ApproxMaxIoUAssigner,
    AssignResult,
    CenterRegionAssigner,
    RegionAssigner,
)
from mmengine.structures import InstanceData

from sniper_mmdet.registry import TASK_UTILS
from sniper_mmdet.structures import is_image_level

from .ignored_boxes import by_kind
from .range_aware_assigner import _Ignores


@TASK_UTILS.register_module()
class RangeAwareApproxMaxIoUAssigner(_Ignores, ApproxMaxIoUAssigner):
    """An ApproxMaxIoUAssigner (SABL, guided anchoring) that ignores by IoU.

    An anchor stands for a group of boxes. It is ignored as background if any
    of them resembles an ignored box; objects keep their anchors.

    Args:
        ignore_iou_thr (float): Background with a larger IoU to an ignored box,
            and no larger one to an object, is assigned -1. Defaults to 0.3.
        **kwargs: Arguments of ApproxMaxIoUAssigner, also ``ignore_iof_thr``,
            which is off by default.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs,
    ) -> AssignResult:
        result = super().assign(
            pred_instances, gt_instances, gt_instances_ignore, **kwargs
        )
        for boxes in pred_instances.approxs.unbind(1):
            self._ignore(
                result, boxes, gt_instances_ignore, gt_instances.bboxes
            )
        return result


class _IgnoresPlaces:
    """Shared part of assigners by places; a parent before mmdet's class.

    Background is ignored if it would not be background with an ignored box as
    the only object, or if it lies in a box that is annotated as ignored.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        *args,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs,
    ) -> AssignResult:
        result = super().assign(pred_instances, gt_instances, *args, **kwargs)
        ignored, priors = gt_instances_ignore, pred_instances.priors
        if ignored is None or not len(ignored) or not len(priors):
            return result
        (alone,), (regions,) = by_kind([ignored], [gt_instances])
        # Boxes of one class would take places from each other.
        alone.labels = torch.arange(len(alone), device=priors.device)
        like = (
            super().assign(pred_instances, alone, *args, **kwargs).gt_inds != 0
        )
        x, y = ((priors[:, :2] + priors[:, 2:]) / 2).split(1, 1)
        x1, y1, x2, y2 = regions.unbind(1)
        like |= ((x1 <= x) & (x < x2) & (y1 <= y) & (y < y2)).any(1)
        like |= is_image_level(ignored)
        result.gt_inds[like & (result.gt_inds == 0)] = -1
        return result


@TASK_UTILS.register_module()
class RangeAwareCenterRegionAssigner(_IgnoresPlaces, CenterRegionAssigner):
    """A CenterRegionAssigner (FSAF) that ignores the middles of ignored boxes.

    Background is ignored if an ignored box would choose it as the only object,
    or if it lies in a box that is annotated as ignored.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs,
    ) -> AssignResult:
        return super().assign(
            pred_instances,
            gt_instances,
            gt_instances_ignore=gt_instances_ignore,
            **kwargs,
        )


@TASK_UTILS.register_module()
class RangeAwareRegionAssigner(_IgnoresPlaces, RegionAssigner):
    """A RegionAssigner (Cascade RPN) that ignores middles of ignored boxes.

    Background is ignored if an ignored box as the only object would choose or
    ignore it, or if it lies in a box that is annotated as ignored. The parent
    raises NotImplementedError if there is one.
    """
