"""Anchor-based dense heads that learn from incomplete labels."""

from inspect import signature

import torch
from mmdet.models.dense_heads import (
    ATSSHead,
    GFLHead,
    RetinaHead,
    RPNHead,
    RTMDetHead,
    RTMDetSepBNHead,
)
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor

from sniper_mmdet.registry import MODELS
from sniper_mmdet.utils.errors import UserError

from ..task_modules import (
    BY_OVERLAP,
    background_weights,
    build_weights,
    silence_unverified,
    verified_of_batch,
)


class IncompleteLabels:
    """Shared part of these heads; a parent before mmdet's class.

    Args:
        *args: Arguments of the parent.
        soft_sampling (dict, optional): Weighting of background, by default of
            type :class:`OverlapWeights`. None: no weighting. Defaults to
            :class:`OverlapWeights` as released.
        verified_only (bool): Learn only the classes that are verified for an
            image, see :func:`verified_classes`. Defaults to False.
        **kwargs: Arguments of the parent.

    Raises:
        ValueError: ``verified_only`` with a softmax loss.
    """

    def __init__(
        self,
        *args,
        soft_sampling: dict | None = BY_OVERLAP,
        verified_only: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.soft_weights = build_weights(soft_sampling)
        self.verified_only = verified_only
        if verified_only and not getattr(self.loss_cls, 'use_sigmoid', False):
            raise UserError(
                'verified_only needs a loss that looks at each class alone. '
                f'Received: {type(self.loss_cls).__name__} without sigmoid.'
            )

    def loss_by_feat(self, cls_scores: list[Tensor], *others) -> dict:
        """Return the parent's losses, of verified classes if asked for."""
        *_, objects, metas, _ = others
        if self.verified_only:
            labels = [one.labels for one in objects]
            verified = verified_of_batch(
                labels, metas, self.num_classes, self.loss_cls
            )
            cls_scores = [silence_unverified(s, verified) for s in cls_scores]
        return super().loss_by_feat(cls_scores, *others)


class SoftAnchors(IncompleteLabels):
    """Soft Sampling for anchor-based heads; a parent before mmdet's class.

    Background anchors are weighted by their overlap, as RoIs are, see
    :class:`SoftSampling`. The divisor of the loss stays the same.
    """

    def _get_targets_single(self, *args, **kwargs) -> tuple:
        parent = super()._get_targets_single
        found = parent(*args, **kwargs)
        if self.soft_weights is None:
            return found
        given = signature(parent).bind(*args, **kwargs).arguments
        # Some heads return the anchors first.
        first = 0 if found[0].dim() == 1 else 1
        labels, weights = found[first : first + 2]
        where = (labels == self.num_classes) & (weights > 0)
        anchors = get_box_tensor(given['flat_anchors'])[where]
        weights[where] *= background_weights(
            self.soft_weights,
            self._boxes_of(anchors),
            given['gt_instances'],
            given.get('gt_instances_ignore'),
            given['img_meta'],
        )
        return found

    def _boxes_of(self, anchors: Tensor) -> Tensor:
        return anchors


class _SoftPriors(SoftAnchors):
    """Soft Sampling for heads whose anchors are points (RTMDet)."""

    def _boxes_of(self, anchors: Tensor) -> Tensor:
        return boxes_of_points(anchors[:, :2], anchors[:, 2:])


def boxes_of_points(
    points: Tensor, strides: Tensor | float, scale: float = 8
) -> Tensor:
    """Return the boxes (N, 4) that points (N, 2) stand for.

    They are squares with sides of eight strides: the anchors with which ATSS
    has the same places as FCOS (arXiv 1912.02424).
    """
    half = scale * strides / 2
    return torch.cat([points - half, points + half], 1)


@MODELS.register_module()
class SoftSamplingRPNHead(SoftAnchors, RPNHead):
    """An RPNHead with Soft Sampling; the released RPN has none.

    Raises:
        ValueError: ``verified_only``, since an RPN has no classes.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.verified_only:
            raise UserError(
                'an RPN has no classes to verify: verified_only belongs to '
                'the RoI head. Received: verified_only=True.'
            )


@MODELS.register_module()
class SoftSamplingRetinaHead(SoftAnchors, RetinaHead):
    """A RetinaHead with Soft Sampling."""


@MODELS.register_module()
class SoftSamplingATSSHead(SoftAnchors, ATSSHead):
    """An ATSSHead with Soft Sampling."""


@MODELS.register_module()
class SoftSamplingGFLHead(SoftAnchors, GFLHead):
    """A GFLHead with Soft Sampling."""


@MODELS.register_module()
class SoftSamplingRTMDetHead(_SoftPriors, RTMDetHead):
    """An RTMDetHead with Soft Sampling, by squares about its points."""


@MODELS.register_module()
class SoftSamplingRTMDetSepBNHead(_SoftPriors, RTMDetSepBNHead):
    """An RTMDetSepBNHead with Soft Sampling, by squares about its points."""
