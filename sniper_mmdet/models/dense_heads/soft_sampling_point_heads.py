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
        boxes = [
            boxes_of_points(own, stride)
            for own, stride in zip(points, self.strides, strict=True)
        ]
        boxes = torch.cat(boxes)
        weights = torch.stack(
            [
                background_weights(self.soft_weights, boxes, *one)
                for one in samples
            ]
        )
        weighted = []
        for scores, own, known in zip(
            cls_scores,
            weights.split([len(own) for own in points], 1),
            learned,
            strict=True,
        ):
            own = own.masked_fill(known.view_as(own), 1).to(scores)
            own = own.view(len(scores), 1, *scores.shape[-2:])
            still = scores.detach()
            weighted.append(still + own * (scores - still))
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
