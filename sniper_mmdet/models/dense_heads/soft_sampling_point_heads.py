"""Point-based heads that learn from incomplete labels."""

import torch
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import background_weights
from .range_aware_point_heads import (
    RangeAwareFCOSHead,
    RangeAwareFoveaHead,
    RangeAwareNASFCOSHead,
)
from .soft_sampling_heads import IncompleteLabels, boxes_of_points


class SoftPoints(IncompleteLabels):
    """Soft Sampling for point-based heads; a parent before the head's class.

    Background points are weighted by the overlap of squares about them. The
    parent's loss knows no weights. The weights therefore multiply the gradient
    of the scores, which has the same effect on training; the logged loss stays
    the one without weights.
    """

    def loss_by_feat(self, cls_scores: list[Tensor], *others) -> dict:
        *outs, objects, metas, ignored = others
        if self.soft_weights is None:
            return super().loss_by_feat(cls_scores, *others)
        found = objects[0].bboxes
        sizes = [scores.shape[-2:] for scores in cls_scores]
        points = self.prior_generator.grid_priors(
            sizes, found.dtype, found.device
        )
        learned = self._positive(points, sizes, objects)
        samples = list(
            zip(objects, ignored or [None] * len(objects), metas, strict=True)
        )
        weighted = []
        for i, scores in enumerate(cls_scores):
            boxes = boxes_of_points(points[i], self.strides[i])
            weights = [
                background_weights(self.soft_weights, boxes, *one)
                for one in samples
            ]
            weights = torch.stack(weights)
            weights = weights.masked_fill(learned[i].view_as(weights), 1)
            weights = weights.view(len(scores), 1, *sizes[i]).to(scores)
            still = scores.detach()
            weighted.append(still + weights * (scores - still))
        return super().loss_by_feat(weighted, *outs, objects, metas, ignored)


@MODELS.register_module()
class SoftSamplingFCOSHead(SoftPoints, RangeAwareFCOSHead):
    """A RangeAwareFCOSHead with Soft Sampling."""


@MODELS.register_module()
class SoftSamplingNASFCOSHead(SoftPoints, RangeAwareNASFCOSHead):
    """A RangeAwareNASFCOSHead with Soft Sampling."""


@MODELS.register_module()
class SoftSamplingFoveaHead(SoftPoints, RangeAwareFoveaHead):
    """A RangeAwareFoveaHead with Soft Sampling."""
