"""What a data sample of mmdet holds."""

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

#: In ``gt_ignore_flags``, beside 0 and 1: a box that detectors do not see.
#: PackDetInputs puts it neither into gt_instances nor into ignored_instances.
UNSEEN = 2
#: What the metainfo of a sample has where boxes are unseen: all boxes.
ALL_BOXES = 'gt_bboxes', 'gt_ignore_flags'


def annotated_boxes(sample) -> np.ndarray:
    """ndarray (N, 4): all boxes of a sample or its dict.

    Ignored ones are last, and so are those that the detector does not see,
    where the metainfo has :data:`ALL_BOXES`.
    """
    boxes, flags = (sample.get(key) for key in ALL_BOXES)
    if boxes is not None and flags is not None:
        found = [boxes[flags == 0], boxes[flags != 0]]
    else:
        found = [sample.get(k) for k in ('gt_instances', 'ignored_instances')]
        found = [f['bboxes'] for f in found if f is not None and 'bboxes' in f]
    found = [torch.as_tensor(getattr(b, 'tensor', b)) for b in found]
    found = [b.reshape(-1, 4).cpu() for b in found]
    return np.concatenate([np.zeros((0, 4), np.float32), *found])


def in_released_range(boxes: Tensor, metainfo: dict) -> Tensor:
    """bool (N,): whose sizes are in a chip's valid range; all without one.

    The released second stage counts the upper end too, ``low <= size <=
    high`` (the operator ``multi_proposal_target``), as nothing else does: see
    :func:`~sniper_mmdet.chips.in_range`.

    Args:
        boxes (Tensor): (N, 4), chip pixels.
        metainfo (dict): Of the chip's sample, with ``chip_range`` of
            :class:`CutChip`.
    """
    low, high = chip_range(metainfo)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return (areas >= low**2) & (areas <= high**2)


def image_level(label):
    """The label of the ignored box of a picture that is labelled as a whole.

    It is -2 for class 0, -3 for class 1, and so on: below 0 as a region is
    that nobody labelled; nothing in the picture is background. The function
    is its own inverse, and takes tensors as well.
    """
    return -2 - label


def is_image_level(ignored: InstanceData | None) -> bool:
    """Whether a picture is labelled as a whole, by its ignored instances."""
    if ignored is None or 'labels' not in ignored:
        return False
    # Of a crowd it is -1 at least.
    return bool((ignored.labels <= image_level(0)).any())


def renumbered(labels: Tensor) -> Tensor:
    """Return labels numbered anew from 0, in their order, without gaps.

    mmcv's ``batched_nms`` shifts boxes by their class. With thousands of
    classes single precision would lose fractions of a pixel; only the classes
    that are there need numbers.
    """
    return labels.unique(return_inverse=True)[1]


def chip_range(metainfo: dict) -> tuple[float, float]:
    """The valid range of a sample, its pixels: of a chip its own, or all."""
    return metainfo.get('chip_range', (0, float('inf')))
