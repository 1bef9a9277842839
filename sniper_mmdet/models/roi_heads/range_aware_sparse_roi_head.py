"""Sparse R-CNN and QueryInst that learn nothing from ignored boxes."""

import torch
from mmdet.models.roi_heads import SparseRoIHead
from mmdet.models.task_modules import (
    AssignResult,
    PseudoSampler,
    SamplingResult,
)
from mmdet.structures import SampleList
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import IgnoresByIoU, hand_on_of


class _IgnoringSampler(IgnoresByIoU, PseudoSampler):
    """Takes all queries, but those like ignored boxes not as background."""

    def sample(
        self,
        assign_result: AssignResult,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        *args,
        **kwargs,
    ) -> SamplingResult:
        found = super().sample(
            assign_result, pred_instances, gt_instances, *args, **kwargs
        )
        like = self.resembling(
            pred_instances.bboxes,
            gt_instances.get('ignored'),
            gt_instances.bboxes,
        )
        # Background without an index has no weight. Its boxes stay: the head
        # counts its queries by them.
        found.neg_inds = found.neg_inds[~like[found.neg_inds]]
        return found


@MODELS.register_module()
class RangeAwareSparseRoIHead(IgnoresByIoU, SparseRoIHead):
    """A SparseRoIHead that ignores queries like ignored boxes.

    Objects are matched with queries as in the parent, in each stage. A query
    without an object is ignored if its box resembles an ignored box, see
    :func:`~sniper_mmdet.models.task_modules.ignored_boxes.resembles`.

    The parent divides the classification loss by the number of objects of a
    batch, which makes it millions of times as large in a batch without one.
    Here that loss is the sum.

    Args:
        ignore_iou_thr (float): IoU with an ignored box above which a query is
            ignored, unless it is nearer to an object. Defaults to 0.3.
        **kwargs: Arguments of SparseRoIHead.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.bbox_sampler = [
            _IgnoringSampler(
                ignore_iou_thr=self.ignore_iou_thr, in_region=self.in_region
            )
            for _ in self.bbox_sampler
        ]

    def bbox_loss(self, *args, **kwargs) -> dict:
        found = super().bbox_loss(*args, **kwargs)
        losses = found['loss_bbox']
        count = sum(len(one.pos_inds) for one in found['sampling_results'])
        if not reduce_mean(losses['loss_cls'].new_tensor(float(count))):
            # What mmdet adds to the number of objects.
            eps = torch.finfo(torch.float32).eps
            losses['loss_cls'] = losses['loss_cls'] * eps
        return found

    def loss(
        self,
        x: tuple[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        hand_on_of(batch_data_samples)
        return super().loss(x, rpn_results_list, batch_data_samples)
