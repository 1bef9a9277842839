"""Anchors and proposals that resemble an ignored box train nothing."""

from mmdet.models.task_modules import (
    AssignResult,
    ATSSAssigner,
    MaxIoUAssigner,
)
from mmengine.structures import InstanceData

from sniper_mmdet.registry import TASK_UTILS


class _IgnoresByIoU:
    """What assigners that ignore by IoU share; comes before mmdet's own."""

    def __init__(self, *args, ignore_iou_thr: float = 0.3, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.ignore_iou_thr = ignore_iou_thr

    def _ignore(
        self, result: AssignResult, candidates, ignored, positive: bool
    ) -> AssignResult:
        """Ignore background, or positives too, mistaken for an ignored box."""
        if ignored is None or not len(ignored) or not len(candidates):
            return result
        ious = self.iou_calculator(candidates.priors, ignored.bboxes)
        where = ious.max(dim=1).values > self.ignore_iou_thr
        if not positive:
            where &= result.gt_inds == 0
        result.gt_inds[where] = -1
        if result.labels is not None:
            result.labels[where] = -1
        return result


@TASK_UTILS.register_module()
class RangeAwareAssigner(_IgnoresByIoU, MaxIoUAssigner):
    """A MaxIoUAssigner that ignores by IoU (SNIP, section 4.2).

    Differs from its parent in the measure: the parent's ``ignore_iof_thr``
    ignores whatever lies mostly inside an ignored box, so that a small valid
    object in front of a large out-of-range one would never be learned. Here
    only what would be *mistaken for* the ignored box is ignored.

    Args:
        ignore_iou_thr (float): Candidates with a larger IoU to any ignored
            box are assigned -1, positive or not. Defaults to 0.3.
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
class RangeAwareATSSAssigner(_IgnoresByIoU, ATSSAssigner):
    """An ATSSAssigner that ignores by IoU, as RangeAwareAssigner does.

    Differs from its parent in the measure, as there, and in when: the
    parent's ``ignore_iof_thr`` takes ignored anchors from the candidates of
    all objects before it chooses, and ignores nothing in an image without an
    object. Here objects choose their anchors first, and of the others, the
    background, what would be mistaken for an ignored box is ignored. An
    object has a few anchors only, chosen by their places, and keeps them.

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
