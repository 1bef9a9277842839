"""Reading of data samples of mmdet, and what this package adds to them."""

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

#: Value of ``gt_ignore_flags``, beside 0 and 1, for a box that detectors do
#: not see. PackDetInputs puts such a box neither into gt_instances nor into
#: ignored_instances.
UNSEEN = 2
#: Keys of the metainfo for all boxes of a sample, if some are unseen.
ALL_BOXES = 'gt_bboxes', 'gt_ignore_flags'


def annotated_boxes(sample) -> np.ndarray:
    """Return all boxes (N, 4) of a sample or of its dict, in its pixels.

    Ignored boxes are last. Boxes that the detector does not see are last too,
    if the metainfo has :data:`ALL_BOXES`; else they are missing.
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
    """Test which boxes have a size in the valid range of their chip.

    The released second stage includes the upper end, ``low <= size <= high``
    (the operator ``multi_proposal_target``). Everything else excludes it, see
    :func:`~sniper_mmdet.chips.in_range`.

    Args:
        boxes (Tensor): (N, 4), chip pixels.
        metainfo (dict): The metainfo of the chip's sample. :class:`CutChip`
            adds ``chip_range``; without it every size is valid.

    Returns:
        Tensor: bool (N,).
    """
    low, high = chip_range(metainfo)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return (areas >= low**2) & (areas <= high**2)


def image_level(label):
    """Return the label of the box around an image with an image-level label.

    The box is ignored, so that nothing in the image is background. Its label
    is -2 for class 0, -3 for class 1, and so on; regions that nobody labelled
    have -1. The function is its own inverse. It takes tensors, too.
    """
    return -2 - label


def is_image_level(ignored: InstanceData | None) -> bool:
    """Test whether ignored instances give their image an image-level label."""
    if ignored is None or 'labels' not in ignored:
        return False
    # The label of a crowd is -1 or higher.
    return bool((ignored.labels <= image_level(0)).any())


def renumbered(labels: Tensor) -> Tensor:
    """Return labels numbered anew from 0, in their order, without gaps.

    mmcv's ``batched_nms`` shifts boxes by their class. With thousands of
    classes single precision would lose fractions of a pixel; only the classes
    that are there need numbers.
    """
    return labels.unique(return_inverse=True)[1]


def chip_range(metainfo: dict) -> tuple[float, float]:
    """Return the valid range (low, high) of a sample, in its pixels.

    A sample that is no chip has the range of all sizes.
    """
    return metainfo.get('chip_range', (0, float('inf')))
