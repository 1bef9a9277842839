"""Training targets of the second stage of R-FCN-3000, as released.

The original computes them in one operator, ``multi_proposal_target_mask``.
Here they are functions of NumPy arrays, so that other heads can use them.
Boxes are the original's: float32 (x1, y1, x2, y2) in chip pixels, where ``x2``
is the last pixel. The functions keep two habits of the operator, because the
released weights were trained with them:

- an IoU counts the last pixel in intersections but not in areas, so that it is
  above 1 for equal boxes, 1.23 at 20 px;
- targets lie half a pixel further right and down than decoded boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Difference of a box that ends with its last pixel to a half-open box.
LAST_PIXEL = np.float32([0, 0, 1, 1])


@dataclass
class RoITargets:
    """RoIs of a batch, and their targets.

    Attributes:
        rois (ndarray): (R, 5), index of the image and box.
        labels (ndarray): (R,), 1 for an object, 0 for none, -1 ignored.
        bbox_targets (ndarray): (R, 4), deltas of boxes.
        bbox_weights (ndarray): (R, 4), 1 for an object.
        pos_rois (ndarray): (P, 5), RoIs that learn a class.
        pos_gts (ndarray): (P,), index of their boxes in their image.
        pos_labels (ndarray): (P,), their class; -1 ignored.
    """

    rois: np.ndarray
    labels: np.ndarray
    bbox_targets: np.ndarray
    bbox_weights: np.ndarray
    pos_rois: np.ndarray
    pos_labels: np.ndarray
    pos_gts: np.ndarray | None = None


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the IoU (N, M) of the operator, see above."""
    boxes, others = boxes[:, None], others[None]
    ends = np.minimum(boxes[..., 2:], others[..., 2:])
    sides = ends - np.maximum(boxes[..., :2], others[..., :2]) + 1
    both = np.maximum(sides, 0).prod(-1)
    # A box of one row or column has no area: NaN means no overlap.
    with np.errstate(divide='ignore', invalid='ignore'):
        return both / (_areas(boxes) + _areas(others) - both)


def keep_proposals(
    boxes: np.ndarray,
    scores: np.ndarray,
    valid_range: tuple[float, float],
    num_pre: int = 6000,
    iou_threshold: float = 0.7,
    num: int = 300,
    min_side: float = 3,
) -> np.ndarray:
    """Return the indices of a chip's training proposals, by falling score.

    Proposals are left out if their size, the root of the area, is not in
    ``[low, high)``, or if both sides are short. NMS follows.

    Args:
        boxes (ndarray): (N, 4), clipped to the image.
        scores (ndarray): (N,).
        valid_range (tuple): (low, high), chip pixels.
        num_pre (int): Number of best proposals before NMS. Defaults to 6000.
        iou_threshold (float): Threshold of NMS. Defaults to 0.7.
        num (int): Upper bound of the result. Defaults to 300.
        min_side (float): Least side in pixels, the last one counted. Defaults
            to 3.
    """
    areas = _areas(boxes)
    low, high = (np.float32(side) ** 2 for side in valid_range)
    large = (boxes[:, 2:] - boxes[:, :2] + 1 >= min_side).any(1)
    valid = np.flatnonzero(large & (areas >= low) & (areas < high))
    order = valid[np.argsort(-scores[valid], kind='stable')][:num_pre]
    kept = []
    while len(order) and len(kept) < num:
        best, order = order[0], order[1:]
        kept.append(best)
        near = overlaps(boxes[best : best + 1], boxes[order])[0]
        order = order[~(near > iou_threshold)]
    return np.array(kept, int)


def fill_slots(
    proposals: np.ndarray,
    gts: np.ndarray,
    valid_range: tuple[float, float],
    num: int = 300,
) -> np.ndarray:
    """Return RoIs (num, 4) of a chip: proposals, fillers and its boxes.

    A slot ``k`` without a proposal has a square of 200 px at ``k % 100``; a
    box ``t`` whose size is in the range takes the slot ``num - 1 - t``.
    """
    slots = np.arange(num)[:, None] % 100 + np.float32([0, 0, 200, 200])
    rois = slots.astype(np.float32)
    rois[: len(proposals)] = proposals[:num]
    areas = _areas(gts)
    low, high = (np.float32(side) ** 2 for side in valid_range)
    for t in np.flatnonzero((areas >= low) & (areas < high)):
        rois[num - 1 - t] = gts[t]
    return rois


def box_targets(
    rois: np.ndarray,
    gts: np.ndarray,
    stds: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
) -> np.ndarray:
    """Return the targets (N, 4) of RoIs and their boxes.

    The centre of a box is half a pixel right and below that of a RoI.
    """
    sides = rois[:, 2:] - rois[:, :2] + 1
    gt_sides = gts[:, 2:] - gts[:, :2] + 1
    centres = rois[:, :2] + (sides - 1) / 2
    moves = (gts[:, :2] + gt_sides / 2 - centres) / sides
    scales = np.log(gt_sides / sides)
    return np.concatenate([moves, scales], 1) / np.float32(stds)


def assign_targets(
    rois: Sequence[np.ndarray],
    gts: Sequence[np.ndarray],
    classes: Sequence[np.ndarray],
    iou_threshold: float = 0.5,
    num_pos: int = 50,
    stds: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
    class_shift: bool = False,
) -> RoITargets:
    """Label all RoIs of a batch, without sampling.

    A RoI is an object if its IoU with a box is above the threshold. The first
    objects, ``num_pos`` per image of the batch in total, learn a class. Their
    order is by image, then by slot: a crowded image leaves fewer to later
    images.

    Args:
        rois (Sequence[ndarray]): (R, 4) for each image.
        gts (Sequence[ndarray]): (G, 4) for each image.
        classes (Sequence[ndarray]): (G,) for each image, from 0 on.
        iou_threshold (float): Least IoU of an object. Defaults to 0.5.
        num_pos (int): Objects per image that learn a class. Defaults to 50.
        stds (Sequence[float]): Divisors of the targets.
        class_shift (bool): A box of class c trains class c - 1, and a box of
            class 0 trains none, as in the original. That is a fault: its lists
            count classes from 0. Defaults to False.
    """
    labels, targets, found = [], [], []
    for own, boxes in zip(rois, gts, strict=True):
        if len(boxes):
            near = overlaps(own, boxes)
            best = np.nan_to_num(near).argmax(1)
            positive = (near > iou_threshold).any(1)
            target = box_targets(own, boxes[best], stds)
        else:
            best = np.zeros(len(own), int)
            positive = np.zeros(len(own), bool)
            target = np.zeros_like(own)
        labels.append(positive)
        # Targets without weight are 1, as in the operator.
        targets.append(np.where(positive[:, None], target, 1))
        found.append(best)
    images = np.repeat(np.arange(len(rois)), [len(own) for own in rois])
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *rois])
    table = np.concatenate([images[:, None], boxes], 1).astype(np.float32)
    labels = np.concatenate([np.zeros(0, bool), *labels])
    found = np.concatenate([np.zeros(0, int), *found])
    first = np.flatnonzero(labels)[: num_pos * len(rois)]
    pos_labels = [classes[images[k]][found[k]] for k in first]
    return RoITargets(
        rois=table,
        labels=labels.astype(int),
        bbox_targets=np.concatenate([np.zeros((0, 4)), *targets]).astype(
            np.float32
        ),
        bbox_weights=np.repeat(labels[:, None], 4, 1).astype(np.float32),
        pos_rois=table[first],
        pos_gts=found[first],
        pos_labels=np.array(pos_labels, int) - int(class_shift),
    )


def _areas(boxes: np.ndarray) -> np.ndarray:
    """Return areas without the last pixel, as in the operator."""
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
