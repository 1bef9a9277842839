"""Mask2Former and MaskFormer that learn nothing from ignored boxes."""

import torch
from mmdet.models.dense_heads import Mask2FormerHead, MaskFormerHead
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
        found = super()._get_targets_single(
            cls_score, mask_pred, gt_instances, img_meta
        )
        labels, weights, *_ = found
        if ignored := img_meta['ignored']:
            height, width = img_meta['batch_input_shape']
            rows, columns = mask_pred.shape[-2:]
            stride = mask_pred.new_tensor([width / columns, height / rows] * 2)
            boxes = _boxes_around(mask_pred > 0) * stride
            objects = _boxes_around(gt_instances.masks > 0).to(boxes)
            like = self.resembling(boxes, ignored, objects)
            weights[like & (labels == self.num_classes)] = 0
        return found


def _boxes_around(masks: Tensor) -> Tensor:
    """Boxes (N, 4) around masks, bool (N, H, W); zeros around an empty one.

    mmdet's ``mask2bbox`` waits for the GPU at each mask.
    """
    ends = []
    for dim in (1, 2):
        filled = masks.any(dim).byte()
        last = filled.shape[1] - filled.flip(1).argmax(1)
        ends.append((filled.argmax(1), last * filled.amax(1)))
    (x1, x2), (y1, y2) = ends
    return torch.stack([x1, y1, x2, y2], 1)


@MODELS.register_module()
class RangeAwareMaskFormerHead(_IgnoresMasks, MaskFormerHead):
    """A MaskFormerHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareMask2FormerHead(_IgnoresMasks, Mask2FormerHead):
    """A Mask2FormerHead that ignores queries like ignored boxes."""
