"""What a data sample of mmdet holds."""

import numpy as np
from torch import Tensor


def annotated_boxes(sample) -> np.ndarray:
    """ndarray (N, 4): all boxes of a sample or its dict, ignored ones last."""
    found = [sample.get(k) for k in ('gt_instances', 'ignored_instances')]
    boxes = [f['bboxes'] for f in found if f is not None and 'bboxes' in f]
    boxes = [getattr(b, 'tensor', b).reshape(-1, 4).cpu() for b in boxes]
    return np.concatenate([np.zeros((0, 4), np.float32), *boxes])


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
    low, high = metainfo.get('chip_range', (0, float('inf')))
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return (areas >= low**2) & (areas <= high**2)
