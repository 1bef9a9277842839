"""FocusPixels and FocusChips (AutoFocus, sections 3.1 to 3.3).

A FocusPixel is a cell of a feature map, ``stride`` pixels wide, on which a
small object may lie. A FocusChip is a rectangle of such cells that the
detector looks at again in the next level.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from sniper_mmdet.moved import getattr_of

from .boxes import box_sizes
from .presets import RELEASED_FOCUS_SIZES


def focus_labels(
    boxes: np.ndarray,
    size: tuple[int, int],
    stride: int = 16,
    sizes: Sequence[float] = RELEASED_FOCUS_SIZES,
    precedence: str = 'positive',
) -> np.ndarray:
    """FocusPixel labels of one chip.

    A box marks the cells from floor(x1 / stride) to ceil(x2 / stride), both
    ends included, and in the same way in y. With ``low, high, end = sizes`` it
    marks them as 1 if ``low < size < high``, and as -1 if ``size <= low`` or
    ``high <= size < end``. A box of ``end`` or more marks nothing.

    Args:
        boxes (ndarray (N, 4)): All boxes of the chip, of any size, clipped to
            the chip, chip pixels.
        size (tuple[int]): (width, height) of the chip in chip pixels.
        stride (int): Side of a cell, chip pixels. Defaults to 16.
        sizes (Sequence[float]): (low, high, end), chip pixels. Defaults to the
            released sizes.
        precedence (str): The label of a cell that several boxes mark.
            'positive': 1 if any box marks it as 1, else -1. 'last': the mark
            of the last box, as in the released code. Defaults to 'positive'.

    Returns:
        ndarray (ceil(height / stride), ceil(width / stride)): int8; 1 is a
        FocusPixel, 0 is none, -1 does not count in training.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips.focus import focus_labels
        >>> boxes = np.array([(20, 20, 30, 30), (70, 0, 140, 70)])
        >>> focus_labels(boxes, (160, 64), stride=16)
        array([[ 0,  0,  0,  0, -1, -1, -1, -1, -1, -1],
               [ 0,  1,  1,  0, -1, -1, -1, -1, -1, -1],
               [ 0,  1,  1,  0, -1, -1, -1, -1, -1, -1],
               [ 0,  0,  0,  0, -1, -1, -1, -1, -1, -1]], dtype=int8)
    """
    width, height = (-(-side // stride) for side in size)
    labels = np.zeros((height, width), np.int8)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    low, high, end = sizes
    extent = box_sizes(boxes)
    marks = np.where((extent > low) & (extent < high), 1, -1)
    first = np.floor(boxes[:, :2] / stride).astype(int)
    last = np.ceil(boxes[:, 2:] / stride).astype(int)
    cells = np.concatenate([first.clip(0), last.clip(-1) + 1], 1)
    order = np.flatnonzero(extent < end)
    if precedence == 'positive':
        order = order[np.argsort(marks[order], kind='stable')]
    for i in order.tolist():
        x1, y1, x2, y2 = cells[i].tolist()
        labels[y1:y2, x1:x2] = marks[i]
    return labels


def focus_chips(
    probability: np.ndarray,
    size: tuple[int, int],
    threshold: float,
    dilation: int = 3,
    min_size: int = 256,
    stride: int = 16,
) -> np.ndarray:
    """Find FocusChips that cover every FocusPixel of a level.

    The map is thresholded and dilated. Each connected component becomes its
    bounding box, which is grown about its centre to the minimum size. Boxes
    that touch are merged until none do (AutoFocus, algorithm 1).

    Args:
        probability (ndarray (H, W)): Probability of a FocusPixel; NaN or
            negative where the level was not looked at.
        size (tuple[int]): (width, height) of the level, level pixels.
        threshold, dilation, min_size: See :class:`FocusSettings`.
        stride (int): Side of a cell, level pixels. Defaults to 16.

    Returns:
        ndarray (C, 4): int64 (x1, y1, x2, y2), level pixels, inside the
        level; no two overlap.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips.focus import focus_chips
        >>> probability = np.zeros((20, 30))
        >>> probability[5, 8] = probability[12, 25] = 0.9
        >>> focus_chips(probability, (480, 320), 0.5, min_size=64).tolist()
        [[96, 48, 160, 112], [368, 160, 432, 224]]
    """
    with np.errstate(invalid='ignore'):
        mask = probability >= threshold
    if not mask.any():
        return np.zeros((0, 4), np.int64)
    if dilation > 1:
        # With an even side the larger half is before the cell, as in OpenCV.
        mask = ndimage.binary_dilation(
            mask, np.ones((dilation, dilation)), origin=dilation % 2 - 1
        )
    least = np.minimum(-(-min_size // stride), mask.shape[::-1])
    chips = np.minimum(_merge(mask, least) * stride, np.tile(size, 2))
    # The last cell may stick out of the level.
    short = np.minimum(least * stride, size) - (chips[:, 2:] - chips[:, :2])
    chips[:, :2] -= np.maximum(short, 0)
    return chips


def move_chips(
    chips: np.ndarray,
    size: tuple[int, int],
    new_size: tuple[int, int],
    stride: int = 16,
) -> np.ndarray:
    """Move chips to the grid of another level, and merge those that meet.

    Args:
        chips (ndarray (C, 4)): (x1, y1, x2, y2), level pixels.
        size (tuple[int]): (width, height) of their level.
        new_size (tuple[int]): (width, height) of the other level.
        stride (int): Side of a cell of the other level. Defaults to 16.

    Returns:
        ndarray (D, 4): int64, pixels of the other level. No two overlap. Each
        begins and ends at the border of a cell or of the level.
    """
    ratio = np.tile(np.divide(new_size, size), 2) / stride
    cells = [-(-side // stride) for side in new_size]
    moved = chips * ratio
    first, last = np.floor(moved[:, :2] + 1e-6), np.ceil(moved[:, 2:] - 1e-6)
    moved = np.concatenate([first, last], 1).astype(np.int64)
    # Most often none meet. Then no map is painted.
    shape = cells[1], cells[0]
    if _are_apart(moved, shape):
        moved = _in_order(moved)
    else:
        moved = _merge(_paint(moved, shape), 1)
    return np.minimum(moved * stride, np.tile(new_size, 2))


def _merge(mask: np.ndarray, least) -> np.ndarray:
    """ndarray (C, 4): int64, separate boxes of cells around the mask."""
    count = -1
    while True:
        # Cells are connected at their corners, too.
        labels, _ = ndimage.label(mask, np.ones((3, 3)))
        found = ndimage.find_objects(labels)
        found = [(x.start, y.start, x.stop, y.stop) for y, x in found]
        boxes = np.array(found, np.int64).reshape(-1, 4)
        if len(boxes) == count:
            return boxes
        count = len(boxes)
        # Grow boxes about their centres, and shift them into the map.
        sides = np.maximum(boxes[:, 2:] - boxes[:, :2], least)
        first = (boxes[:, :2] + boxes[:, 2:] - sides) // 2
        first = np.clip(first, 0, np.array(mask.shape[::-1]) - sides)
        grown = np.concatenate([first, first + sides], 1)
        if _are_apart(grown, mask.shape):
            return _in_order(grown)
        mask = _paint(grown, mask.shape)


def _are_apart(boxes: np.ndarray, shape: tuple[int, int]) -> bool:
    """Test whether no two boxes (C, 4) have a cell or a corner in common.

    Returns False, too, where it costs more to compare all pairs than to paint
    a map.
    """
    if len(boxes) ** 2 > math.prod(shape):
        return False
    ends_after = (boxes[:, None, :2] <= boxes[None, :, 2:]).all(-1)
    return np.count_nonzero(ends_after & ends_after.T) == len(boxes)


def _in_order(boxes: np.ndarray) -> np.ndarray:
    """Sort boxes by their first cells, as connected components are."""
    return boxes[np.lexsort(boxes.T[:2])]


def _paint(boxes, shape) -> np.ndarray:
    """bool (H, W): the cells that any of the boxes covers."""
    edges = np.zeros((shape[0] + 1, shape[1] + 1), np.int64)
    x1, y1, x2, y2 = boxes.T
    for y, x, step in ((y1, x1, 1), (y1, x2, -1), (y2, x1, -1), (y2, x2, 1)):
        np.add.at(edges, (y, x), step)
    return edges.cumsum(0).cumsum(1)[:-1, :-1] > 0


def away_from_cuts(
    boxes: np.ndarray,
    chip: Sequence[float],
    size: tuple[float, float],
    margin: float = 10,
) -> np.ndarray:
    """Find the boxes that no border of their chip can have cut.

    This is focus stacking (AutoFocus, section 3.3).

    Args:
        boxes (ndarray (N, 4)): Detections of the chip, original pixels.
        chip (Sequence[float]): (x1, y1, x2, y2), original pixels.
        size (tuple[float]): (width, height) of the image; a side of the chip
            that is a border of the image cuts nothing.
        margin (float): A box that is closer than this to another side may be
            cut, original pixels. Defaults to 10, as released.

    Returns:
        ndarray (N,): bool.
    """
    chip = np.asarray(chip, float)
    inner = [*(chip[:2] >= 0.5), *(chip[2:] < np.subtract(size, 0.5))]
    near = np.abs(np.asarray(boxes, float).reshape(-1, 4) - chip) < margin
    return ~(near & inner).any(1)


__getattr__ = getattr_of(__name__)
