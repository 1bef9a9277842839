"""Rotation of stored images to their display orientation (EXIF)."""

import numpy as np

#: By EXIF's orientation: whether to transpose, then whether to swap left and
#: right, top and bottom.
_TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """Return a stored image (H, W, ...) as it is displayed, a view of it."""
    swaps, right, down = _TURNS[orientation]
    image = image.swapaxes(0, 1) if swaps else image
    image = image[:, ::-1] if right else image
    return image[::-1] if down else image


def turn_boxes(
    boxes: np.ndarray, orientation: int, size: tuple[int, int]
) -> np.ndarray:
    """Convert boxes of a stored image to the displayed image.

    Args:
        boxes (ndarray (N, 4)): x1, y1, x2, y2.
        orientation (int): EXIF's, 1 to 8.
        size (tuple[int]): Width and height of the stored image.

    Examples:
        >>> import numpy as np
        >>> turn_boxes(np.array([[0, 0, 10, 20]]), 6, (100, 50)).tolist()
        [[30, 0, 50, 10]]
    """
    swaps, right, down = _TURNS[orientation]
    if swaps:
        boxes, size = boxes[:, [1, 0, 3, 2]], size[::-1]
    return _flip(boxes, right, down, size)


def turn_boxes_back(
    boxes: np.ndarray, orientation: int, size: tuple[int, int]
) -> np.ndarray:
    """Convert boxes of the displayed image to the stored image.

    Args:
        boxes (ndarray (N, 4)): x1, y1, x2, y2.
        orientation (int): EXIF's, 1 to 8.
        size (tuple[int]): Width and height of the stored image.
    """
    swaps, right, down = _TURNS[orientation]
    boxes = _flip(boxes, right, down, size[::-1] if swaps else size)
    return boxes[:, [1, 0, 3, 2]] if swaps else boxes


def _flip(boxes, right: bool, down: bool, size) -> np.ndarray:
    boxes = boxes.copy()
    for axis, flips in enumerate((right, down)):
        if flips:
            boxes[:, [axis, axis + 2]] = (
                size[axis] - boxes[:, [axis + 2, axis]]
            )
    return boxes
