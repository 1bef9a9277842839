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


class _IgnoresQueries(TellsIgnored, IgnoresByIoU):
    """Shared part of these heads; a parent before mmdet's class.

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
        bbox_pred: Tensor,
        gt_instances: InstanceData,
        img_meta: dict,
    ) -> tuple:
        labels, weights, *others = super()._get_targets_single(
            cls_score, bbox_pred, gt_instances, img_meta
        )
        height, width = img_meta['img_shape']
        size = bbox_pred.new_tensor([width, height, width, height])
        boxes = bbox_cxcywh_to_xyxy(bbox_pred.detach()) * size
        like = self.resembling(boxes, img_meta['ignored'], gt_instances.bboxes)
        weights[like & (labels == self.num_classes)] = 0
        return labels, weights, *others


@MODELS.register_module()
class RangeAwareConditionalDETRHead(_IgnoresQueries, ConditionalDETRHead):
    """A ConditionalDETRHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareDABDETRHead(_IgnoresQueries, DABDETRHead):
    """A DABDETRHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareDeformableDETRHead(_IgnoresQueries, DeformableDETRHead):
    """A DeformableDETRHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareDETRHead(_IgnoresQueries, DETRHead):
    """A DETRHead that ignores queries like ignored boxes."""


@MODELS.register_module()
class RangeAwareDINOHead(_IgnoresQueries, DINOHead):
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
class RangeAwareDDQDETRHead(_IgnoresQueries, DDQDETRHead):
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
