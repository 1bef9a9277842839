"""A head of YOLOv3 that learns nothing from ignored boxes."""

import torch
from mmdet.models.dense_heads import YOLOV3Head
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import IgnoresByIoU
from .ignored_of_batch import HandsOnIgnored


@MODELS.register_module()
class RangeAwareYOLOV3Head(HandsOnIgnored, IgnoresByIoU, YOLOV3Head):
    """A YOLOV3Head whose confidence loss ignores anchors like ignored boxes.

    Objects choose their anchors as in the parent. The other anchors learn no
    confidence if they resemble an ignored box, see
    :func:`~sniper_mmdet.models.task_modules. ignored_boxes.resembles`.

    Args:
        ignore_iou_thr (float): IoU with an ignored box above which an anchor
            is ignored, unless it is nearer to an object. Defaults to 0.3.
        **kwargs: Arguments of YOLOV3Head.
    """

    def _get_targets_single(
        self,
        anchors: list[Tensor],
        responsible_flags: list[Tensor],
        gt_instances: InstanceData,
    ) -> tuple[Tensor, Tensor]:
        targets, background = super()._get_targets_single(
            anchors, responsible_flags, gt_instances
        )
        like = self.resembling(
            torch.cat(anchors), gt_instances.ignored, gt_instances.bboxes
        )
        background[like] = 0
        return targets, background
