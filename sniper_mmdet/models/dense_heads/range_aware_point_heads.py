"""Heads of points, as FCOS has them, that learn nothing of an ignored box."""

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

from ..task_modules import SILENT, annotated


class _IgnoresPoints:
    """What the heads here share; comes before mmdet's own.

    Objects choose their points as in the parent. Of the other points, the
    background, those are ignored that an ignored box would choose were it the
    only object: points of the level for its size, so that a small object in
    front of it, and what surrounds that, are learned. What lies in a box that
    is annotated as ignored is, too. Scores of ignored points are replaced by
    ones that cost nothing, for the parent's loss knows no weights.
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
        """Scores (B, C, H, W) of each level; of ignored points, silent."""
        ignored = [
            found[:0] if one is None else one
            for found, one in zip(objects, ignored, strict=True)
        ]
        sizes = [scores.shape[-2:] for scores in cls_scores]
        points = self.prior_generator.grid_priors(
            sizes, ignored[0].bboxes.dtype, ignored[0].bboxes.device
        )
        regions, others = [], []
        for one in ignored:
            region = annotated(one)
            regions.append(one.bboxes[region])
            boxes = one.bboxes[~region]
            # Of any class: an RPN has one, and other labels are annotated.
            labels = boxes.new_zeros(len(boxes), dtype=torch.long)
            others.append(InstanceData(bboxes=boxes, labels=labels))
        learned = self._positive(points, sizes, objects)
        like = self._positive(points, sizes, others)
        silenced = []
        for i, scores in enumerate(cls_scores):
            silent = (like[i] | _inside(points[i], regions)) & ~learned[i]
            silent = silent.view(len(scores), 1, *sizes[i])
            silenced.append(scores.masked_fill(silent, SILENT))
        return silenced

    def _positive(
        self,
        points: list[Tensor],
        sizes: list[tuple[int, int]],
        objects: list[InstanceData],
    ) -> list[Tensor]:
        """Which points learn an object: of each level, (images * points,)."""
        labels, *_ = self.get_targets(points, objects)
        return [level < self.num_classes for level in labels]


def _inside(points: Tensor, regions: list[Tensor]) -> Tensor:
    """Which points (P, 2) lie in a region of which image: (images * P,)."""
    x, y = points[:, :1], points[:, 1:]
    return torch.cat(
        [
            ((x1 < x) & (x < x2) & (y1 < y) & (y < y2)).any(1)
            for x1, y1, x2, y2 in (boxes.unbind(1) for boxes in regions)
        ]
    )


@MODELS.register_module()
class RangeAwareFCOSHead(_IgnoresPoints, FCOSHead):
    """An FCOSHead that ignores points of an ignored box."""


@MODELS.register_module()
class RangeAwareNASFCOSHead(_IgnoresPoints, NASFCOSHead):
    """A NASFCOSHead that ignores points of an ignored box."""


@MODELS.register_module()
class RangeAwareCondInstBboxHead(_IgnoresPoints, CondInstBboxHead):
    """A CondInstBboxHead that ignores points of an ignored box."""


@MODELS.register_module()
class RangeAwareBoxInstBboxHead(_IgnoresPoints, BoxInstBboxHead):
    """A BoxInstBboxHead that ignores points of an ignored box."""


@MODELS.register_module()
class RangeAwareFoveaHead(_IgnoresPoints, FoveaHead):
    """A FoveaHead that ignores points of an ignored box."""

    def _positive(
        self,
        points: list[Tensor],
        sizes: list[tuple[int, int]],
        objects: list[InstanceData],
    ) -> list[Tensor]:
        labels, _ = self.get_targets(objects, sizes, points)
        counts = [len(objects) * len(level) for level in points]
        return list((labels < self.num_classes).split(counts))
