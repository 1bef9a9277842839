"""A head of VFNet that learns nothing from ignored boxes."""

from collections.abc import Sequence

from mmdet.models.dense_heads import VFNetHead
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import SILENT


@MODELS.register_module()
class RangeAwareVFNetHead(VFNetHead):
    """A VFNetHead that ignores the anchors that its assigner ignores.

    The parent learns from the scores of all anchors, also those that the
    assigner ignores. This head replaces scores without a weight by scores that
    cost nothing. The assigner is a :class:`RangeAwareATSSAssigner`.

    Args:
        *args: Arguments of VFNetHead.
        **kwargs: Arguments of VFNetHead; ``use_atss`` must be True, which is
            the default.

    Raises:
        ValueError: ``use_atss`` is False: the head works by points, as FCOS.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not self.use_atss:
            raise ValueError(
                'use_atss must be True, so that an assigner chooses what to '
                'ignore. Received: False.'
            )

    def loss_by_feat(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        bbox_preds_refine: Sequence[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict:
        told = batch_gt_instances, batch_img_metas, batch_gt_instances_ignore
        if any(batch_gt_instances_ignore or ()):
            points = self.fcos_prior_generator.grid_priors(
                [scores.shape[-2:] for scores in cls_scores],
                bbox_preds[0].dtype,
                bbox_preds[0].device,
            )
            _, weights, _, _ = self.get_targets(cls_scores, points, *told)
            counts = [
                len(scores) * scores[0, 0].numel() for scores in cls_scores
            ]
            cls_scores = [
                scores.masked_fill(
                    (own == 0).view(len(scores), 1, *scores.shape[-2:]), SILENT
                )
                for scores, own in zip(
                    cls_scores, weights.split(counts), strict=True
                )
            ]
        return super().loss_by_feat(
            cls_scores, bbox_preds, bbox_preds_refine, *told
        )
