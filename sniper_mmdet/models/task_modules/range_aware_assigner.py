"""Anchors and proposals that resemble an ignored box train nothing."""

from mmdet.models.task_modules import AssignResult, MaxIoUAssigner
from mmengine.structures import InstanceData

from sniper_mmdet.registry import TASK_UTILS


@TASK_UTILS.register_module()
class RangeAwareAssigner(MaxIoUAssigner):
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

    def __init__(self, *args, ignore_iou_thr: float = 0.3, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.ignore_iou_thr = ignore_iou_thr

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
        priors = pred_instances.priors
        if (
            gt_instances_ignore is not None
            and len(gt_instances_ignore)
            and len(priors)
        ):
            ious = self.iou_calculator(priors, gt_instances_ignore.bboxes)
            resembles = ious.max(dim=1).values > self.ignore_iou_thr
            result.gt_inds[resembles] = -1
            if result.labels is not None:
                result.labels[resembles] = -1
        return result
