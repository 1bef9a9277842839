"""Point-based heads, such as FCOS's, that learn nothing from ignored boxes."""

from collections.abc import Sequence
from inspect import signature

import torch
from mmdet.models.dense_heads import (
    BoxInstBboxHead,
    CondInstBboxHead,
    FCOSHead,
    FoveaHead,
    NASFCOSHead,
)
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import SILENT, are_inside, by_kind


class _IgnoresPoints:
    """Shared part of these heads; a parent before mmdet's class.

    Objects choose their points as in the parent. A background point is ignored
    if an ignored box would choose it as the only object. Such points lie on
    the level for the size of the ignored box, so that a small object in front
    of it, and the surroundings of that object, are learned. Background points
    in a box that is annotated as ignored are ignored too. The parent's loss
    knows no weights: scores of ignored points are replaced by scores that cost
    nothing.
    """

    def loss_by_feat(self, *args, **kwargs) -> dict:
        parent = super().loss_by_feat
        given = signature(parent).bind(*args, **kwargs).arguments
        ignored = given.get('batch_gt_instances_ignore')
        if any(ignored or ()):
            given['cls_scores'] = self._silenced(
                given['cls_scores'], given['batch_gt_instances'], ignored
            )
        return parent(**given)

    def _silenced(
        self,
        cls_scores: Sequence[Tensor],
        objects: list[InstanceData],
        ignored: list[InstanceData],
    ) -> list[Tensor]:
        """Return the scores (B, C, H, W); ignored points cost nothing."""
        others, regions = by_kind(ignored, objects)
        sizes = [scores.shape[-2:] for scores in cls_scores]
        points = self.prior_generator.grid_priors(
            sizes, regions[0].dtype, regions[0].device
        )
        learned = self._positive(points, sizes, objects)
        like = self._positive(points, sizes, others)
        silenced = []
        for i, scores in enumerate(cls_scores):
            inside = [are_inside(points[i], boxes) for boxes in regions]
            silent = (like[i] | torch.cat(inside)) & ~learned[i]
            silent = silent.view(len(scores), 1, *sizes[i])
            silenced.append(scores.masked_fill(silent, SILENT))
        return silenced

    def _positive(
        self,
        points: list[Tensor],
        sizes: list[tuple[int, int]],
        objects: list[InstanceData],
    ) -> list[Tensor]:
        """Whether points learn an object, (images * points,) per level."""
        labels, *_ = self.get_targets(points, objects)
        return [level < self.num_classes for level in labels]


@MODELS.register_module()
class RangeAwareFCOSHead(_IgnoresPoints, FCOSHead):
    """An FCOSHead that ignores the points of ignored boxes."""


@MODELS.register_module()
class RangeAwareNASFCOSHead(_IgnoresPoints, NASFCOSHead):
    """A NASFCOSHead that ignores the points of ignored boxes."""


@MODELS.register_module()
class RangeAwareCondInstBboxHead(_IgnoresPoints, CondInstBboxHead):
    """A CondInstBboxHead that ignores the points of ignored boxes."""


@MODELS.register_module()
class RangeAwareBoxInstBboxHead(_IgnoresPoints, BoxInstBboxHead):
    """A BoxInstBboxHead that ignores the points of ignored boxes."""


@MODELS.register_module()
class RangeAwareFoveaHead(_IgnoresPoints, FoveaHead):
    """A FoveaHead that ignores the points of ignored boxes."""

    def _positive(
        self,
        points: list[Tensor],
        sizes: list[tuple[int, int]],
        objects: list[InstanceData],
    ) -> list[Tensor]:
        labels, _ = self.get_targets(objects, sizes, points)
        counts = [len(objects) * len(level) for level in points]
        return list((labels < self.num_classes).split(counts))
