"""Hiding of parts of an image, so that nobody can be recognised."""

import cv2
import numpy as np

WAYS = ('blur', 'pixelate', 'box')
#: Number of means of pixels that are left along the longer side, and least
#: number of pixels per mean.
CELLS, LEAST_CELL = 6, 4


def hide(
    image: np.ndarray,
    boxes: np.ndarray,
    way: str = 'blur',
    margin: float = 0.0,
) -> None:
    """Hide the content of boxes, in place.

    A box keeps the means of at most 6 x 6 cells of 4 x 4 px or more: as they
    are ('pixelate'), or with smooth transitions ('blur'). With 'box' it keeps
    nothing. An alpha channel is treated like the others.

    Args:
        image (ndarray): (H, W) or (H, W, C), of any dtype.
        boxes (ndarray (N, 4)): x1, y1, x2, y2; all pixels that a box touches
            are hidden.
        way (str): One of :data:`WAYS`. Defaults to 'blur'.
        margin (float): Share of its longer side by which a box is enlarged on
            each side. Defaults to 0.0.

    Examples:
        >>> import numpy as np
        >>> image = np.full((6, 6), 9, np.uint8)
        >>> hide(image, np.array([[1, 1, 4, 3]]), way='box')
        >>> image[1].tolist()
        [9, 0, 0, 0, 9, 9]
    """
    for x1, y1, x2, y2 in regions(boxes, image.shape[1::-1], margin):
        part = image[y1:y2, x1:x2]
        part[...] = _hidden(part, way)


def regions(
    boxes: np.ndarray, size: tuple[int, int], margin: float = 0.0
) -> np.ndarray:
    """Return the pixels (N, 4) that enlarged boxes touch, without empty ones.

    Args:
        boxes (ndarray (N, 4)): x1, y1, x2, y2.
        size (tuple[int]): Width and height of the image.
        margin (float): See :func:`hide`. Defaults to 0.0.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    boxes = boxes[np.isfinite(boxes).all(1)]
    side = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).max(1, initial=0)
    more = (margin * side)[:, None]
    low = np.floor(boxes[:, :2] - more)
    high = np.ceil(boxes[:, 2:] + more)
    found = np.concatenate([low, high], 1)
    found = found.clip(0, np.tile(size, 2)).astype(int)
    return found[(found[:, 2:] > found[:, :2]).all(1)]


def _hidden(part: np.ndarray, way: str) -> np.ndarray:
    if way == 'box':
        hidden = np.zeros_like(part)
        if part.ndim == 3 and part.shape[2] in (2, 4):
            hidden[..., -1] = 255  # not transparent; of CMYK, black
        return hidden
    height, width = part.shape[:2]
    cell = max(max(height, width) / CELLS, LEAST_CELL)
    cells = [max(int(side / cell), 1) for side in (width, height)]
    values = np.nan_to_num(part.astype(np.float32), posinf=0, neginf=0)
    small = cv2.resize(values, cells, interpolation=cv2.INTER_AREA)
    how = cv2.INTER_LINEAR if way == 'blur' else cv2.INTER_NEAREST
    large = cv2.resize(small, (width, height), interpolation=how)
    large = large.reshape(part.shape)
    if part.dtype.kind == 'f':
        return large.astype(part.dtype)
    limits = np.iinfo(part.dtype)
    return np.rint(large).clip(limits.min, limits.max).astype(part.dtype)
