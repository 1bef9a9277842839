"""RoI heads that learn from incomplete labels."""

from collections.abc import Sequence
from functools import cache

from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
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
from .decoupled_roi_head import DecoupledCascadeRoIHead, DecoupledRoIHead
from .released_roi_head import ReleasedRoIHead


class SoftTargets:
    """Part of box heads for incomplete labels; a parent before mmdet's class.

    It multiplies the weights of background by soft ones, and logits of classes
    that are not verified cost nothing. The number of RoIs by which the loss is
    divided stays the same, as released.
    """

    #: Weighting of background; None: as in the parent.
    soft_weights = None
    #: Whether only verified classes are learned.
    verified_only = False
    #: The batch, while a RoI head learns from it.
    samples: SampleList = ()

    def get_targets(self, sampling_results: list, *args, **kwargs) -> tuple:
        """Return the parent's targets, with soft weights of labels."""
        found = super().get_targets(sampling_results, *args, **kwargs)
        if self.soft_weights is None:
            return found
        weights = found[1]
        if isinstance(weights, Tensor):  # views of one tensor
            sizes = [len(one.priors) for one in sampling_results]
            weights = weights.split(sizes)
        for own, result, sample in zip(
            weights, sampling_results, self.samples, strict=True
        ):
            count = len(result.neg_priors)
            if count:
                # Positive RoIs come first.
                own[-count:] *= background_weights(
                    self.soft_weights,
                    result.neg_priors,
                    sample.gt_instances,
                    sample.get('ignored_instances'),
                    sample.metainfo,
                )
        return found

    def loss(
        self, cls_score: Tensor, bbox_pred: Tensor, rois: Tensor, *args, **more
    ) -> dict:
        """Return the parent's losses, of verified classes if asked for."""
        if self.verified_only and cls_score is not None:
            verified = verified_of_batch(
                [sample.gt_instances.labels for sample in self.samples],
                [sample.metainfo for sample in self.samples],
                self.num_classes,
                self.loss_cls,
            )
            cls_score = silence_unverified(cls_score, verified, rois[:, 0])
        return super().loss(cls_score, bbox_pred, rois, *args, **more)


class SoftSampling:
    """Soft Sampling for any RoI head; a parent before mmdet's class.

    Background RoIs are weighted by the probability that somebody would have
    labelled an object there (arXiv 1806.06986), see :class:`OverlapWeights`
    and :class:`ScoreWeights`. The weights change the classification loss only,
    not the box loss nor the RPN's losses. Every box that a chip shows counts
    as an object, also if it is cut or out of range. For another kind of head
    define a class::

        class SoftSamplingDoubleRoIHead(SoftSampling, DoubleHeadRoIHead):
            pass

    Args:
        *args: Arguments of the parent.
        soft_sampling (dict, optional): Weighting of background, by default of
            type :class:`OverlapWeights`. None: no weighting. Defaults to
            :class:`OverlapWeights` as released.
        verified_only (bool): Learn only the classes that are verified for an
            image, see :func:`verified_classes`. It needs a ``loss_cls`` of
            type :class:`SigmoidRoILoss`. Defaults to False.
        **kwargs: Arguments of the parent; its ``bbox_head`` may be of any
            class that inherits mmdet's ``BBoxHead.get_targets`` and ``loss``,
            or has its own.

    Raises:
        ValueError: The box head does not allow it.
    """

    def __init__(
        self,
        *args,
        soft_sampling: dict | None = BY_OVERLAP,
        verified_only: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        weights = build_weights(soft_sampling)
        for head in self._box_heads():
            head.soft_weights = weights
            head.verified_only = verified_only
            if verified_only and not (
                getattr(head.loss_cls, 'use_sigmoid', False)
                and head.custom_cls_channels
            ):
                raise UserError(
                    'verified_only needs a loss that looks at each class '
                    "alone: loss_cls=dict(type='sniper_mmdet.SigmoidRoILoss')"
                    f'. Received: {type(head.loss_cls).__name__}.'
                )

    def init_bbox_head(
        self, bbox_roi_extractor: dict, bbox_head: dict | Sequence[dict]
    ) -> None:
        """Build box heads, of classes that weight background softly."""
        if isinstance(bbox_head, Sequence):
            bbox_head = [_soft(cfg) for cfg in bbox_head]
        else:
            bbox_head = _soft(bbox_head)
        super().init_bbox_head(bbox_roi_extractor, bbox_head)

    def loss(
        self,
        x: Sequence[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList,
    ) -> dict:
        heads = self._box_heads()
        for head in heads:
            head.samples = batch_data_samples
        try:
            return super().loss(x, rpn_results_list, batch_data_samples)
        finally:
            for head in heads:
                head.samples = ()

    def _box_heads(self) -> list:
        return [one for one in self.modules() if isinstance(one, SoftTargets)]


def _soft(cfg: dict) -> dict:
    """Replace the type in a box head's config by a soft one."""
    parent = cfg['type']
    if isinstance(parent, str):
        parent = MMDET_MODELS.get(parent)
    if not hasattr(parent, 'get_targets'):
        raise UserError(
            'Soft Sampling needs a box head with get_targets. '
            f'Received: bbox_head of type {cfg["type"]}.'
        )
    return {**cfg, 'type': soft_head(parent)}


@cache
def soft_head(parent: type) -> type:
    """A subclass of a box head with :class:`SoftTargets`."""
    return type(f'Soft{parent.__name__}', (SoftTargets, parent), {})


@MODELS.register_module()
class SoftSamplingRoIHead(SoftSampling, StandardRoIHead):
    """A StandardRoIHead with :class:`SoftSampling`."""


@MODELS.register_module()
class SoftSamplingCascadeRoIHead(SoftSampling, CascadeRoIHead):
    """A CascadeRoIHead with :class:`SoftSampling` in each stage."""


@MODELS.register_module()
class SoftSamplingReleasedRoIHead(SoftSampling, ReleasedRoIHead):
    """A ReleasedRoIHead with :class:`SoftSampling`."""


@MODELS.register_module()
class SoftSamplingDecoupledRoIHead(SoftSampling, DecoupledRoIHead):
    """A DecoupledRoIHead with :class:`SoftSampling`, of objectness."""


@MODELS.register_module()
class SoftSamplingDecoupledCascadeRoIHead(
    SoftSampling, DecoupledCascadeRoIHead
):
    """A DecoupledCascadeRoIHead with :class:`SoftSampling` in each stage."""
