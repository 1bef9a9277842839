"""The head of CenterNet, that learns nothing of an ignored box."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import CenterNetHead
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import annotated


@MODELS.register_module()
class RangeAwareCenterNetHead(CenterNetHead):
    """A CenterNetHead that ignores centres of an ignored box.

    Objects have their heat as in the parent. Elsewhere nothing is learned
    where an ignored box would have heat were it an object, which is where a
    box of its size overlaps it by an IoU of 0.3 or more, nor in a box that is
    annotated as ignored.
    """

    def loss_by_feat(
        self,
        center_heatmap_preds: Sequence[Tensor],
        wh_preds: Sequence[Tensor],
        offset_preds: Sequence[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict:
        if any(batch_gt_instances_ignore or ()):
            (heat,) = center_heatmap_preds
            ignored = [
                objects[:0] if one is None else one
                for objects, one in zip(
                    batch_gt_instances, batch_gt_instances_ignore, strict=True
                )
            ]
            shapes = heat.shape, batch_img_metas[0]['batch_input_shape']
            known = [one[~annotated(one)] for one in ignored]
            silent = self._heat(known, *shapes) > 0
            for place, one in zip(silent, ignored, strict=True):
                _fill(place[0], one.bboxes[annotated(one)], shapes[1])
            silent &= self._heat(batch_gt_instances, *shapes) == 0
            # As background, heat of 0 costs nothing.
            center_heatmap_preds = [heat.masked_fill(silent, 0)]
        return super().loss_by_feat(
            center_heatmap_preds,
            wh_preds,
            offset_preds,
            batch_gt_instances,
            batch_img_metas,
        )

    def _heat(
        self, found: list[InstanceData], shape: tuple, img_shape: tuple
    ) -> Tensor:
        """Heat (B, 1, H, W) of boxes of any class."""
        boxes = [one.bboxes for one in found]
        labels = [box.new_zeros(len(box), dtype=torch.long) for box in boxes]
        targets, _ = self.get_targets(boxes, labels, shape, img_shape)
        return targets['center_heatmap_target'][:, :1]


def _fill(place: Tensor, boxes: Tensor, img_shape: tuple) -> None:
    """Set the cells (H, W) whose centres lie in boxes."""
    ends = [
        cells / side
        for cells, side in zip(place.shape, img_shape, strict=True)
    ]
    y, x = (torch.arange(n, device=boxes.device) + 0.5 for n in place.shape)
    for x1, y1, x2, y2 in boxes:
        rows = (y1 * ends[0] < y) & (y < y2 * ends[0])
        columns = (x1 * ends[1] < x) & (x < x2 * ends[1])
        place |= rows[:, None] & columns
