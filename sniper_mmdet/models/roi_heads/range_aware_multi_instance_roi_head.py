"""CrowdDet that learns nothing from ignored boxes."""

import torch
from mmdet.models.roi_heads import MultiInstanceRoIHead
from mmdet.models.roi_heads.bbox_heads import MultiInstanceBBoxHead
from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS
from sniper_mmdet.utils.type_names import require_type

from ..task_modules import SILENT


class _IgnoringBBoxHead(MultiInstanceBBoxHead):
    """Predictions of the label -1 learn nothing; mmdet's are background.

    mmdet's fails in a batch without objects.
    """

    def loss(
        self, cls_score: Tensor, bbox_pred: Tensor, *args, **kwargs
    ) -> dict[str, Tensor]:
        found = super().loss(cls_score, bbox_pred, *args, **kwargs)
        # Several GPUs need a gradient of all weights, if there is no RoI too.
        nothing = 0 * (cls_score.sum() + bbox_pred.sum())
        return {key: loss + nothing for key, loss in found.items()}

    def emd_loss(
        self,
        boxes: Tensor,
        scores: Tensor,
        other_boxes: Tensor,
        other_scores: Tensor,
        targets: Tensor,
        labels: Tensor,
    ) -> Tensor:
        surely_background = scores.new_tensor([0, SILENT])
        scores, other_scores = (
            torch.where(own[:, None] < 0, surely_background, both)
            for own, both in zip(
                labels.unbind(1), (scores, other_scores), strict=True
            )
        )
        if not (labels > 0).any():
            both = torch.cat([scores, other_scores])
            losses = self.loss_cls(both, both.new_zeros(len(both)).long())
            return losses.view(2, -1).sum(0)[:, None]
        return super().emd_loss(
            boxes, scores, other_boxes, other_scores, targets, labels
        )


@MODELS.register_module()
class RangeAwareMultiInstanceRoIHead(MultiInstanceRoIHead):
    """A MultiInstanceRoIHead (CrowdDet) that ignores boxes by IoU.

    :class:`RangeAwareMultiInstanceAssigner` decides what is ignored. The
    parent makes such predictions background, and fails in an image with one
    object or none.

    Args:
        bbox_head (dict): Config of a MultiInstanceBBoxHead, and of no other.
        **kwargs: Arguments of MultiInstanceRoIHead.
    """

    def init_bbox_head(
        self, bbox_roi_extractor: dict, bbox_head: dict
    ) -> None:
        require_type(bbox_head, MultiInstanceBBoxHead, 'bbox_head')
        bbox_head = dict(bbox_head, type=_IgnoringBBoxHead)
        super().init_bbox_head(bbox_roi_extractor, bbox_head)

    def loss(
        self,
        x: tuple[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        samples = list(map(self._with_enough, batch_data_samples))
        return super().loss(x, rpn_results_list, samples)

    def _with_enough(self, sample: DetDataSample) -> DetDataSample:
        """Return a sample with one box more per prediction, without a size.

        The assigner needs as many boxes as a RoI has predictions.
        """
        objects = sample.gt_instances
        own = sample.get('ignored_instances', objects[:0])
        labels = own.get('labels', objects.labels.new_zeros(len(own)))
        empty = own.bboxes.new_zeros(self.num_instance, 4)
        ignored = InstanceData(
            bboxes=torch.cat([own.bboxes, empty]),
            labels=torch.cat([labels, labels.new_full((len(empty),), -1)]),
        )
        return DetDataSample(
            metainfo=sample.metainfo,
            gt_instances=objects,
            ignored_instances=ignored,
        )
