"""Mask2Former and MaskFormer that learn nothing from ignored boxes."""

from mmdet.models.dense_heads import Mask2FormerHead, MaskFormerHead
from mmdet.structures.mask import mask2bbox
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import IgnoresByIoU
from .ignored_of_batch import TellsIgnored


class _IgnoresMasks(TellsIgnored, IgnoresByIoU):
    """Shared part of these heads; a parent before mmdet's class.

    Objects are matched with queries as in the parent. A query without an
    object, of any decoder layer, is ignored if the box around its mask
    resembles an ignored box, see :func:`~sniper_mmdet.models.task_modules.
    ignored_boxes.resembles`.

    Args:
        ignore_iou_thr (float): IoU with an ignored box above which a query is
            ignored, unless it is nearer to an object. Defaults to 0.3.
        **kwargs: Arguments of the parent.
    """

    def _get_targets_single(
        self,
        cls_score: Tensor,
        mask_pred: Tensor,
        gt_instances: InstanceData,
        img_meta: dict,
    ) -> tuple:
        labels, weights, *others = super()._get_targets_single(
            cls_score, mask_pred, gt_instances, img_meta
        )
        height, width = img_meta['batch_input_shape']
        rows, columns = mask_pred.shape[-2:]
        stride = mask_pred.new_tensor([width / columns, height / rows] * 2)
        boxes = mask2bbox(mask_pred.detach() > 0) * stride
        objects = mask2bbox(gt_instances.masks.bool()).to(boxes)
        like = self.resembling(boxes, img_meta['ignored'], objects)
        weights[like & (labels == self.num_classes)] = 0
        return labels, weights, *others


@MODELS.register_module()
class RangeAwareMaskFormerHead(_IgnoresMasks, MaskFormerHead):
    """A MaskFormerHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareMask2FormerHead(_IgnoresMasks, Mask2FormerHead):
    """A Mask2FormerHead that ignores queries like ignored boxes."""
