"""Mask2Former and MaskFormer that learn nothing from ignored boxes."""

import torch
from mmdet.models.dense_heads import Mask2FormerHead, MaskFormerHead
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from .range_aware_query_heads import IgnoresQueries


class _IgnoresMasks(IgnoresQueries):
    """Shared part of these heads: a query's box is that around its mask."""

    def _boxes_of(
        self, predicted: Tensor, gt_instances: InstanceData, img_meta: dict
    ) -> tuple[Tensor, Tensor]:
        height, width = img_meta['batch_input_shape']
        rows, columns = predicted.shape[-2:]
        stride = predicted.new_tensor([width / columns, height / rows] * 2)
        boxes = _boxes_around(predicted > 0) * stride
        return boxes, _boxes_around(gt_instances.masks > 0).to(boxes)


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
