"""How MXNet's networks order classes and anchors, and how mmdet's do."""

import numpy as np


def object_first(values: np.ndarray) -> np.ndarray:
    """(2 * A, ...), all backgrounds, all objects; to pairs of an anchor.

    mmdet has an anchor's object, then its background.
    """
    pairs = values.reshape(2, -1, *values.shape[1:])[::-1].swapaxes(0, 1)
    return pairs.reshape(values.shape)


def backgrounds_first(values: np.ndarray) -> np.ndarray:
    """What :func:`object_first` takes, from what it gives."""
    pairs = values.reshape(-1, 2, *values.shape[1:])[:, ::-1].swapaxes(0, 1)
    return pairs.reshape(values.shape)


def background_last(values: np.ndarray) -> np.ndarray:
    """(1 + classes, ...): the background, which MXNet has first, last."""
    return np.roll(values, -1, axis=0)


def background_first(values: np.ndarray) -> np.ndarray:
    """What :func:`background_last` takes, from what it gives."""
    return np.roll(values, 1, axis=0)
