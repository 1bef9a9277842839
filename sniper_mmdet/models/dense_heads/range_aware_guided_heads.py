"""Guided anchoring that learns nothing from ignored boxes.

Its assigner, :class:`RangeAwareApproxMaxIoUAssigner`, ignores anchors. These
heads ignore places, too, where guided anchoring learns where objects are.
"""

from mmdet.models.dense_heads import GARetinaHead, GARPNHead
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import by_kind
from .ignored_of_batch import KeepsIgnored


class _IgnoresPlaces(KeepsIgnored):
    """Shared part of these heads; a parent before mmdet's class.

    A place is ignored if an object of the size of an ignored box would not be
    background there, or if it lies in a box that is annotated as ignored.
    """

    def ga_loc_targets(
        self,
        batch_gt_instances: list[InstanceData],
        featmap_sizes: list[tuple[int, int]],
    ) -> tuple[list[Tensor], list[Tensor], float]:
        found = super().ga_loc_targets(batch_gt_instances, featmap_sizes)
        if not any(self._ignored):
            return found
        others, regions = by_kind(self._ignored, batch_gt_instances)
        targets, weights, _ = found
        alone = super().ga_loc_targets(others, featmap_sizes)[1]
        strides = self.approx_anchor_generator.strides
        for level, (stride, _) in enumerate(strides):
            weight, target = weights[level], targets[level]
            # Background has a weight of its own, neither 0 nor 1.
            like = (alone[level] == 0) | (alone[level] == 1)
            for i, boxes in enumerate(regions):
                for x1, y1, x2, y2 in (boxes / stride).round().int().tolist():
                    like[i, :, max(y1, 0) : y2, max(x1, 0) : x2] = True
            weight[like & (target == 0)] = 0
        return found


@MODELS.register_module()
class RangeAwareGARetinaHead(_IgnoresPlaces, GARetinaHead):
    """A GARetinaHead that ignores the places of ignored boxes."""


@MODELS.register_module()
class RangeAwareGARPNHead(_IgnoresPlaces, GARPNHead):
    """A GARPNHead that ignores the places of ignored boxes."""
