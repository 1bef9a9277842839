"""Weights of background where labels may be missing (Soft Sampling).

A place without a label may be an object that nobody labelled. The farther a
place is from labelled objects, the more likely this is (arXiv 1806.06986,
section 3).
"""

from collections.abc import Callable

import torch
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS
from sniper_mmdet.structures import ALL_BOXES, UNSEEN
from sniper_mmdet.utils.errors import UserError

from .ignored_boxes import annotated

#: IoU with an object from which on background has weight 1.
FULL_OVERLAP = 0.5
#: Default weighting of background.
BY_OVERLAP = dict(type='sniper_mmdet.OverlapWeights')


def build_weights(soft_sampling: dict | None) -> Callable | None:
    """Build the weighting of background from a head's ``soft_sampling``."""
    if soft_sampling is None:
        return None
    return TASK_UTILS.build({**BY_OVERLAP, **soft_sampling})


def soft_weights(
    overlaps: Tensor, a: float = 0.25, b: float = 50.0, c: float = 20.0
) -> Tensor:
    """Return weights of background by its largest IoU with a labelled box.

    ``a + (1 - a) * exp(-b * exp(-c * overlap))`` below an IoU of 0.5, and 1
    from there: a Gompertz curve.

    Args:
        overlaps (Tensor): Any shape.
        a (float): Least weight. Defaults to 0.25.
        b (float): A larger value moves the rise of the curve to the right.
            Defaults to 50.
        c (float): Steepness of the rise. Defaults to 20.

    Returns:
        Tensor: Weights, of the same shape.

    Examples:
        >>> import torch
        >>> weights = soft_weights(torch.tensor([0.0, 0.2, 0.5]))
        >>> [round(weight, 2) for weight in weights.tolist()]
        [0.25, 0.55, 1.0]
    """
    weights = a + (1 - a) * torch.exp(-b * torch.exp(-c * overlaps))
    return torch.where(overlaps < FULL_OVERLAP, weights, 1)


def known_objects(
    objects: InstanceData, ignored: InstanceData | None, metainfo: dict
) -> Tensor:
    """Return the boxes (K, 4) of all known objects, trained or not.

    They include objects that a chip shows but does not train, because they are
    cut or out of range. They do not include boxes that are annotated as
    ignored, such as crowds and groups.

    Args:
        objects (:obj:`InstanceData`): Objects that are trained.
        ignored (:obj:`InstanceData`, optional): Ignored boxes. They include
            objects only in chips, which have a ``chip_range``.
        metainfo (dict): Metainfo of the sample.
    """
    found = get_box_tensor(objects.bboxes)
    boxes = [found]
    if ignored is not None and len(ignored) and 'chip_range' in metainfo:
        boxes.append(get_box_tensor(ignored.bboxes)[~annotated(ignored)])
    every, flags = (metainfo.get(key) for key in ALL_BOXES)
    if every is not None and flags is not None:
        every = torch.as_tensor(getattr(every, 'tensor', every))
        boxes.append(every[torch.as_tensor(flags == UNSEEN)])
    return torch.cat([box.to(found).reshape(-1, 4) for box in boxes])


def background_weights(
    weigh: Callable[..., Tensor],
    boxes: Tensor,
    objects: InstanceData,
    ignored: InstanceData | None,
    metainfo: dict,
) -> Tensor:
    """Return the weights (N,) of an image's boxes (N, 4) as background.

    Args:
        weigh (Callable): :class:`OverlapWeights` or :class:`ScoreWeights`.
        boxes (Tensor (N, 4)): RoIs, or anchors, x1, y1, x2, y2.
        objects (:obj:`InstanceData`): See :func:`known_objects`.
        ignored (:obj:`InstanceData`, optional): See :func:`known_objects`.
        metainfo (dict): Metainfo of the sample. Its ``scored_boxes``, from
            :class:`PackKnownLabels`, are detections of a first detector.
    """
    known = known_objects(objects, ignored, metainfo).to(boxes)
    scored = metainfo.get('scored_boxes')
    if scored is not None:
        scored = torch.as_tensor(scored)
    weights = weigh(boxes, known, scored)
    # Box heads count the RoIs with weights above 0.
    return weights.clamp(min=torch.finfo(weights.dtype).tiny)


class _Curve:
    """Settings of :func:`soft_weights`, and the IoU calculator."""

    def __init__(
        self,
        a: float = 0.25,
        b: float = 50.0,
        c: float = 20.0,
        iou_calculator: dict | None = None,
    ) -> None:
        if not 0 <= a <= 1 or not b >= 0 or not c > 0:
            raise UserError(
                'Soft Sampling needs a in [0, 1], b of at least 0 and c above '
                f'0. Received: a={a}, b={b}, c={c}.'
            )
        self.curve = a, b, c
        self.overlaps = TASK_UTILS.build(
            iou_calculator or dict(type='mmdet.BboxOverlaps2D')
        )

    def largest(self, boxes: Tensor, others: Tensor) -> Tensor:
        """Return each box's largest IoU (N,) with the others, or 0."""
        if not len(others):
            return boxes.new_zeros(len(boxes))
        return self.overlaps(boxes, others).amax(1)


@TASK_UTILS.register_module()
class OverlapWeights(_Curve):
    """Weights background by its overlap with objects, as released.

    Args:
        a (float): See :func:`soft_weights`. Defaults to 0.25.
        b (float): See :func:`soft_weights`. Defaults to 50.
        c (float): See :func:`soft_weights`. Defaults to 20.
        iou_calculator (dict, optional): Config of the IoU calculator;
            ``sniper_mmdet.ReleasedOverlaps`` is the original's. Defaults to
            None: mmdet's IoU.

    Raises:
        ValueError: A setting is out of bounds.
    """

    def __call__(
        self, boxes: Tensor, known: Tensor, scored: Tensor | None = None
    ) -> Tensor:
        """Return the weights (N,) of background boxes (N, 4).

        Args:
            boxes (Tensor (N, 4)): RoIs, or anchors, x1, y1, x2, y2.
            known (Tensor (K, 4)): See :func:`known_objects`.
            scored (Tensor (M, 5), optional): Not used.
        """
        return soft_weights(self.largest(boxes, known), *self.curve)


@TASK_UTILS.register_module()
class ScoreWeights(_Curve):
    """Weights background by the scores of a first detector.

    This is the paper's second variant: a detector that was trained on the same
    labels scores the background that is not near an object. The paper does not
    publish its curve. Here it is the curve of overlaps at 1 - score:
    background where the first detector finds nothing has weight 1, background
    where it is sure of an object has weight ``a``.

    Args:
        a (float): See :func:`soft_weights`. Defaults to 0.25.
        b (float): See :func:`soft_weights`. Defaults to 50.
        c (float): See :func:`soft_weights`. Defaults to 20.
        match_iou (float): IoU from which on a box gets the score of a
            detection; the highest score counts. Defaults to 0.5.
        hard_iou (float): IoU with an object from which on background is a hard
            negative, of weight 1. Defaults to 0.1.
        iou_calculator (dict, optional): See :class:`OverlapWeights`.

    Raises:
        ValueError: A setting is out of bounds.
    """

    def __init__(
        self,
        *args,
        match_iou: float = 0.5,
        hard_iou: float = 0.1,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.match_iou = match_iou
        self.hard_iou = hard_iou

    def __call__(
        self, boxes: Tensor, known: Tensor, scored: Tensor | None = None
    ) -> Tensor:
        """Return the weights (N,) of background boxes (N, 4).

        Args:
            boxes (Tensor (N, 4)): RoIs, or anchors, x1, y1, x2, y2.
            known (Tensor (K, 4)): See :func:`known_objects`.
            scored (Tensor (M, 5)): Detections of the first detector and their
                scores.

        Raises:
            ValueError: The sample has no scores.
        """
        if scored is None:
            raise UserError(
                'ScoreWeights needs the scores of a first detector: write '
                'them with tools/misc/score_unlabelled.py and pack them with '
                "dict(type='sniper_mmdet.PackKnownLabels', scores=FILE)."
            )
        scores = boxes.new_zeros(len(boxes))
        if len(scored):
            scored = scored.to(boxes)
            like = self.overlaps(boxes, scored[:, :4]) >= self.match_iou
            scores = (like * scored[:, 4]).amax(1)
        weights = soft_weights(1 - scores, *self.curve)
        hard = self.largest(boxes, known) >= self.hard_iou
        return torch.where(hard, 1, weights)
