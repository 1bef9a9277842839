"""Heads with heatmaps, such as CornerNet's, that ignore ignored boxes.

A heatmap is 1 at the place of an object, and falls to 0 around it: background
counts ``(1 - heat)`` to the fourth power. An ignored box is as hot as an
object, in every class: its place counts nothing, the places near it little.
"""

from mmdet.models.dense_heads import (
    CenterNetUpdateHead,
    CentripetalHead,
    CornerHead,
)
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from ..task_modules import are_inside, by_kind
from .ignored_of_batch import HandsOnIgnored, KeepsIgnored

#: Heat of an ignored place: a heat of 1 would be an object. Its background
#: counts 1e-16.
_IGNORED_HEAT = 1 - 1e-4


class _IgnoresCorners(KeepsIgnored):
    """Ignores the two corners of ignored boxes; precedes mmdet's class."""

    def get_targets(
        self,
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        feat_shape: tuple,
        img_shape: tuple,
        **kwargs,
    ) -> dict[str, Tensor]:
        shapes = feat_shape, img_shape
        found = super().get_targets(gt_bboxes, gt_labels, *shapes, **kwargs)
        if not any(self._ignored):
            return found
        objects = [InstanceData(bboxes=boxes) for boxes in gt_bboxes]
        others, regions = by_kind(self._ignored, objects)
        alone = super().get_targets(
            [one.bboxes for one in others],
            [one.labels for one in others],
            *shapes,
            **kwargs,
        )
        step = img_shape[1] / feat_shape[3], img_shape[0] / feat_shape[2]
        for name in 'topleft_heatmap', 'bottomright_heatmap':
            heat = alone[name][:, :1]
            for image, boxes in zip(heat[:, 0], regions, strict=True):
                for x1, y1, x2, y2 in boxes.tolist():
                    left, top = round(x1 / step[0]), round(y1 / step[1])
                    right, low = round(x2 / step[0]), round(y2 / step[1])
                    image[max(top, 0) : low, max(left, 0) : right] = 1
            own = found[name]
            found[name] = own.maximum(heat.clamp(max=_IGNORED_HEAT))
        return found


@MODELS.register_module()
class RangeAwareCornerHead(_IgnoresCorners, CornerHead):
    """A CornerHead that ignores the corners of ignored boxes."""


@MODELS.register_module()
class RangeAwareCentripetalHead(_IgnoresCorners, CentripetalHead):
    """A CentripetalHead that ignores the corners of ignored boxes."""


@MODELS.register_module()
class RangeAwareCenterNetUpdateHead(HandsOnIgnored, CenterNetUpdateHead):
    """A CenterNetUpdateHead that ignores the middles of ignored boxes.

    In an image without objects the parent's heatmap has the number of classes
    at each place, by which background counts 39 million times. Here it is 0.

    Args:
        *args: Arguments of CenterNetUpdateHead.
        **kwargs: Arguments of CenterNetUpdateHead; ``soft_weight_on_reg`` must
            be False, which is the default.

    Raises:
        ValueError: ``soft_weight_on_reg`` is True: the heat of ignored boxes
            would weight the boxes of objects.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.soft_weight_on_reg:
            raise ValueError(
                'soft_weight_on_reg must be False: the heat of ignored boxes '
                'would weight the boxes of objects. Received: True.'
            )

    def _get_targets_single(
        self,
        gt_instances: InstanceData,
        points: Tensor,
        regress_ranges: Tensor,
        strides: Tensor,
    ) -> tuple[Tensor, Tensor]:
        how = points, regress_ranges, strides
        heat, boxes = super()._get_targets_single(gt_instances, *how)
        if not len(gt_instances):
            heat = points.new_zeros(heat.shape)
        ignored = gt_instances.get('ignored')
        if ignored is None or not len(ignored):
            return heat, boxes
        (others,), (regions,) = by_kind([ignored], [gt_instances])
        inside = are_inside(points, regions)
        like = inside.to(heat.dtype)[:, None]
        if len(others):
            own, _ = super()._get_targets_single(others, *how)
            like = like.maximum(own[:, :1])
        return heat.maximum(like.clamp(max=_IGNORED_HEAT)), boxes
