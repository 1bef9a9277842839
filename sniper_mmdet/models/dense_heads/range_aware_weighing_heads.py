"""Heads that weigh their own objects and background, and ignore ignored boxes.

FreeAnchor and AutoAssign have no assigner: how much an anchor or a point is of
an object follows from what it predicts.
"""

import torch
from mmdet.models.dense_heads import AutoAssignHead, FreeAnchorRetinaHead
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import SILENT, IgnoresByIoU
from .ignored_of_batch import HandsOnIgnored


@MODELS.register_module()
class RangeAwareFreeAnchorRetinaHead(
    HandsOnIgnored, IgnoresByIoU, FreeAnchorRetinaHead
):
    """A FreeAnchorRetinaHead whose background ignores what ignored boxes are.

    Objects choose their anchors as in the parent. An anchor is no background
    as far as it predicts an object; one that resembles an ignored box is none
    at all, see
    :func:`~sniper_mmdet.models.task_modules.ignored_boxes.resembles`.

    Args:
        ignore_iou_thr (float): IoU with an ignored box above which an anchor
            is ignored, unless it is nearer to an object. Defaults to 0.3.
        **kwargs: Arguments of FreeAnchorRetinaHead.
    """

    def positive_loss_single(
        self,
        cls_prob: Tensor,
        bbox_pred: Tensor,
        flat_anchors: Tensor,
        gt_instances: InstanceData,
    ) -> tuple[Tensor, Tensor, int]:
        of_object, *others = super().positive_loss_single(
            cls_prob, bbox_pred, flat_anchors, gt_instances
        )
        like = self.resembling(
            flat_anchors, gt_instances.ignored, gt_instances.bboxes
        )
        of_object[like] = 1
        return of_object, *others


@MODELS.register_module()
class RangeAwareAutoAssignHead(IgnoresByIoU, AutoAssignHead):
    """An AutoAssignHead whose background ignores points like ignored boxes.

    Points in an object learn as in the parent. Of the others, those whose
    predicted box resembles an ignored box are no background, see
    :func:`~sniper_mmdet.models.task_modules.ignored_boxes.resembles`: their
    objectness is replaced by one that costs nothing.

    Args:
        ignore_iou_thr (float): IoU with an ignored box above which a point
            is ignored, unless its box is nearer to an object. Defaults to 0.3.
        **kwargs: Arguments of AutoAssignHead.
    """

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        objectnesses: list[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        ignored = batch_gt_instances_ignore or ()
        if any(ignored):
            points = self.prior_generator.grid_priors(
                [scores.shape[-2:] for scores in cls_scores],
                bbox_preds[0].dtype,
                bbox_preds[0].device,
            )
            inside, _ = self.get_targets(points, batch_gt_instances)
            # It may give an object without a point the nearest ones.
            inside = [
                self.center_prior(points, objects, mask)[1]
                for objects, mask in zip(
                    batch_gt_instances, inside, strict=True
                )
            ]
            silent = torch.stack(
                [
                    self._like(torch.cat(points), boxes, *one)
                    for boxes, *one in zip(
                        _by_image(bbox_preds),
                        batch_gt_instances,
                        ignored,
                        inside,
                        strict=True,
                    )
                ]
            ).split([len(level) for level in points], 1)
            objectnesses = [
                level.masked_fill(own.view_as(level), SILENT)
                for level, own in zip(objectnesses, silent, strict=True)
            ]
        return super().loss_by_feat(
            cls_scores,
            bbox_preds,
            objectnesses,
            batch_gt_instances,
            batch_img_metas,
        )

    def _like(
        self,
        points: Tensor,
        predicted: Tensor,
        objects: InstanceData,
        ignored: InstanceData | None,
        inside: Tensor,
    ) -> Tensor:
        """Whether points (P,) of an image are ignored."""
        boxes = self.bbox_coder.decode(points, predicted.detach())
        like = self.resembling(boxes, ignored, objects.bboxes)
        return like & ~inside.any(1)


def _by_image(levels: list[Tensor]) -> Tensor:
    """Join maps (B, C, H, W) of levels to (B, points, C)."""
    return torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
