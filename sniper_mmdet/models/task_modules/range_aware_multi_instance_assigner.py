"""The assigner of CrowdDet, with the rule for ignored boxes."""

import torch
from mmdet.models.task_modules import AssignResult
from mmdet.models.task_modules.assigners import MultiInstanceAssigner
from mmengine.structures import InstanceData

from sniper_mmdet.registry import TASK_UTILS

from .ignored_boxes import IgnoresByIoU


@TASK_UTILS.register_module()
class RangeAwareMultiInstanceAssigner(IgnoresByIoU, MultiInstanceAssigner):
    """A MultiInstanceAssigner (CrowdDet) that ignores by IoU.

    Each RoI has several predictions, for the objects that it overlaps most.
    Those that get an object keep it. The others are ignored if the RoI
    resembles an ignored box. The parent ignores by the share of the RoI's area
    instead, and takes ignored boxes that have a class for objects. It needs as
    many boxes, objects and ignored ones, as a RoI has predictions;
    :class:`RangeAwareMultiInstanceRoIHead` sees to that.

    Args:
        ignore_iou_thr (float): A prediction without an object is assigned -1
            if its RoI has a larger IoU to an ignored box. Defaults to 0.3.
        **kwargs: Arguments of MultiInstanceAssigner.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData,
        **kwargs,
    ) -> AssignResult:
        ignored, objects = gt_instances_ignore, gt_instances.bboxes
        # What is indexed stays as long; boxes without a size overlap none.
        nothing = InstanceData(
            bboxes=torch.zeros_like(ignored.bboxes),
            labels=torch.full_like(ignored.labels, -1),
        )
        result = super().assign(
            pred_instances, gt_instances, nothing, **kwargs
        )
        # RoIs are the proposals, objects and ignored boxes.
        found = torch.cat([pred_instances.priors[:, :4], objects])
        like = torch.ones_like(result.labels[:, 0], dtype=torch.bool)
        like[: len(found)] = self.resembling(found, ignored, objects[:0])
        result.labels[like[:, None] & (result.labels == 0)] = -1
        return result
