"""Reordering of classes and anchors between MXNet's networks and mmdet's."""

import numpy as np


def object_first(values: np.ndarray) -> np.ndarray:
    """Reorder (2 * A, ...) from all backgrounds, all objects to pairs.

    A pair is an anchor's object, then its background, as in mmdet.
    """
    pairs = values.reshape(2, -1, *values.shape[1:])[::-1].swapaxes(0, 1)
    return pairs.reshape(values.shape)


def backgrounds_first(values: np.ndarray) -> np.ndarray:
    """Undo :func:`object_first`."""
    pairs = values.reshape(-1, 2, *values.shape[1:])[:, ::-1].swapaxes(0, 1)
    return pairs.reshape(values.shape)


def background_last(values: np.ndarray) -> np.ndarray:
    """Move the background of (1 + classes, ...) from the start to the end.

    Examples:
        >>> import numpy as np
        >>> background_last(np.array([0, 1, 2])).tolist()
        [1, 2, 0]
    """
    return np.roll(values, -1, axis=0)


def background_first(values: np.ndarray) -> np.ndarray:
    """Undo :func:`background_last`."""
    return np.roll(values, 1, axis=0)
