"""Query-based heads, such as DINO's, that learn nothing from ignored boxes."""

from mmdet.models.dense_heads import (
    ConditionalDETRHead,
    DABDETRHead,
    DDQDETRHead,
    DeformableDETRHead,
    DETRHead,
    DINOHead,
)
from mmdet.models.losses import DDQAuxLoss
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import IgnoresByIoU
from .ignored_of_batch import TellsIgnored


class IgnoresQueries(TellsIgnored, IgnoresByIoU):
    """Shared part of heads with queries; a parent before mmdet's class.

    Objects are matched with queries as in the parent. A query without an
    object, of a decoder layer or of the encoder, is ignored if its box
    resembles an ignored box, see :func:`~sniper_mmdet.models.task_modules.
    ignored_boxes.resembles`. Queries for denoising come from objects.

    Args:
        ignore_iou_thr (float): IoU with an ignored box above which a query is
            ignored, unless it is nearer to an object. Defaults to 0.3.
        **kwargs: Arguments of the parent.
    """

    def _get_targets_single(
        self,
        cls_score: Tensor,
        predicted: Tensor,
        gt_instances: InstanceData,
        img_meta: dict,
    ) -> tuple:
        found = super()._get_targets_single(
            cls_score, predicted, gt_instances, img_meta
        )
        labels, weights, *_ = found
        if ignored := img_meta['ignored']:
            boxes, objects = self._boxes_of(
                predicted.detach(), gt_instances, img_meta
            )
            like = self.resembling(boxes, ignored, objects)
            weights[like & (labels == self.num_classes)] = 0
        return found

    def _boxes_of(
        self, predicted: Tensor, gt_instances: InstanceData, img_meta: dict
    ) -> tuple[Tensor, Tensor]:
        """Return the boxes (Q, 4) of queries and (M, 4) of objects."""
        height, width = img_meta['img_shape']
        size = predicted.new_tensor([width, height, width, height])
        return bbox_cxcywh_to_xyxy(predicted) * size, gt_instances.bboxes


@MODELS.register_module()
class RangeAwareConditionalDETRHead(IgnoresQueries, ConditionalDETRHead):
    """A ConditionalDETRHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareDABDETRHead(IgnoresQueries, DABDETRHead):
    """A DABDETRHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareDeformableDETRHead(IgnoresQueries, DeformableDETRHead):
    """A DeformableDETRHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareDETRHead(IgnoresQueries, DETRHead):
    """A DETRHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareDINOHead(IgnoresQueries, DINOHead):
    """A DINOHead that ignores queries like ignored boxes."""


class _RangeAwareDDQAuxLoss(IgnoresByIoU, DDQAuxLoss):
    """DDQ's loss of dense queries, without queries like ignored boxes."""

    def _get_target_single(
        self,
        cls_scores: Tensor,
        bbox_preds: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        img_meta: dict,
        **kwargs,
    ) -> tuple:
        labels, weights, *others = super()._get_target_single(
            cls_scores, bbox_preds, gt_bboxes, gt_labels, img_meta, **kwargs
        )
        like = self.resembling(
            bbox_preds.detach(), img_meta['ignored'], gt_bboxes
        )
        weights[like & (labels == cls_scores.size(-1))] = 0
        return labels, weights, *others


@MODELS.register_module()
class RangeAwareDDQDETRHead(IgnoresQueries, DDQDETRHead):
    """A DDQDETRHead that ignores queries like ignored boxes.

    It ignores dense queries of the auxiliary losses, too.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.aux_loss_for_dense = _RangeAwareDDQAuxLoss(
            train_cfg=self.aux_loss_for_dense.train_cfg,
            ignore_iou_thr=self.ignore_iou_thr,
            in_region=self.in_region,
        )
