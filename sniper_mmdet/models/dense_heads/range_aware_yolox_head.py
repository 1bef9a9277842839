"""A head of YOLOX that learns nothing from ignored boxes."""

from mmdet.models.dense_heads import YOLOXHead
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import IgnoresByIoU


@MODELS.register_module()
class RangeAwareYOLOXHead(IgnoresByIoU, YOLOXHead):
    """A YOLOXHead whose objectness loss ignores places like ignored boxes.

    Objects choose their places as in the parent. The other places learn no
    objectness if their predicted box resembles an ignored box, see
    :func:`~sniper_mmdet.models. task_modules.ignored_boxes.resembles`.

    Args:
        ignore_iou_thr (float): IoU with an ignored box above which a place is
            ignored, unless it is nearer to an object. Defaults to 0.3.
        **kwargs: Arguments of YOLOXHead.
    """

    def _get_targets_single(
        self,
        priors: Tensor,
        cls_preds: Tensor,
        decoded_bboxes: Tensor,
        objectness: Tensor,
        gt_instances: InstanceData,
        img_meta: dict,
        gt_instances_ignore: InstanceData | None = None,
    ) -> tuple:
        found, classes, objects, *others = super()._get_targets_single(
            priors,
            cls_preds,
            decoded_bboxes,
            objectness,
            gt_instances,
            img_meta,
            gt_instances_ignore,
        )
        like = self.resembling(
            decoded_bboxes, gt_instances_ignore, gt_instances.bboxes
        )
        # mmdet's binary cross entropy leaves out labels below 0.
        objects[like & ~found] = -1
        return found, classes, objects, *others
