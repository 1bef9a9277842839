"""Anchors and proposals of which nobody knows what they show train nothing.

Ignored boxes are of two kinds. One that the chip does not train, of another
level's size or cut, is an object all the same: what would be mistaken for it,
by IoU, is ignored. One that is annotated as ignored, a crowd or a region that
nobody labelled, may hold objects of any size: background that lies in it, by
its own area, is ignored too. :class:`CutChip` labels the latter -1.
"""

import torch
from mmdet.models.task_modules import (
    AssignResult,
    ATSSAssigner,
    MaxIoUAssigner,
)
from mmengine.structures import InstanceData

from sniper_mmdet.chips.boxes import IN_REGION
from sniper_mmdet.registry import TASK_UTILS


class _Ignores:
    """What the assigners here share; comes before mmdet's own."""

    def __init__(self, *args, ignore_iou_thr: float = 0.3, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.ignore_iou_thr = ignore_iou_thr

    def _ignore(
        self, result: AssignResult, candidates, ignored, positive: bool
    ) -> AssignResult:
        """Ignore background; if told so, positives like a box out of range."""
        if ignored is None or not len(ignored) or not len(candidates):
            return result
        priors, boxes = candidates.priors, ignored.bboxes
        mistaken = self.iou_calculator(priors, boxes) > self.ignore_iou_thr
        where = mistaken.any(1) & (result.gt_inds == 0)
        annotated = torch.zeros_like(mistaken[0])
        if 'labels' in ignored:
            annotated = ignored.labels < 0
        if positive:
            where |= mistaken[:, ~annotated].any(1)
        if annotated.any():
            shares = self.iou_calculator(priors, boxes[annotated], mode='iof')
            lies_in = (shares > IN_REGION).any(1)
            where |= lies_in & (result.gt_inds == 0)
        result.gt_inds[where] = -1
        if result.labels is not None:
            result.labels[where] = -1
        return result


@TASK_UTILS.register_module()
class RangeAwareAssigner(_Ignores, MaxIoUAssigner):
    """A MaxIoUAssigner that ignores by IoU, as SNIP does (section 4.2).

    Differs from its parent in the measure: the parent's ``ignore_iof_thr``
    ignores whatever lies mostly inside an ignored box, so that a small valid
    object in front of a large out-of-range one would never be learned. Here
    only what would be *mistaken for* the ignored box is ignored. Of a box that
    is annotated as ignored (label -1), also the background of which more than
    half lies in it; a match with an object stays one there.

    Args:
        ignore_iou_thr (float): Candidates with a larger IoU to any ignored
            box are assigned -1, positive or not; positive ones not for a box
            that is annotated as ignored. Defaults to 0.3.
        **kwargs: Of MaxIoUAssigner, ``ignore_iof_thr`` included, which is off
            by default.
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
        return self._ignore(
            result, pred_instances, gt_instances_ignore, positive=True
        )


@TASK_UTILS.register_module()
class RangeAwareATSSAssigner(_Ignores, ATSSAssigner):
    """An ATSSAssigner that ignores as RangeAwareAssigner does.

    Differs from its parent in the measure, as there, and in when: the
    parent's ``ignore_iof_thr`` takes ignored anchors from the candidates of
    all objects before it chooses, and ignores nothing in an image without an
    object. Here objects choose their anchors first, and of the others, the
    background, what would be mistaken for an ignored box, or lies in one
    that is annotated so, is ignored. An object has a few anchors only, chosen
    by their places, and keeps them.

    Args:
        ignore_iou_thr (float): Background with a larger IoU to any ignored
            box is assigned -1. Defaults to 0.3.
        **kwargs: Of ATSSAssigner, ``ignore_iof_thr`` included, which is off
            by default.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        num_level_priors: list[int],
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
    ) -> AssignResult:
        result = super().assign(
            pred_instances, num_level_priors, gt_instances, gt_instances_ignore
        )
        return self._ignore(
            result, pred_instances, gt_instances_ignore, positive=False
        )
