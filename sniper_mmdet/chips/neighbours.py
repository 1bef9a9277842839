"""Boxes that overlap, and those that overlap them, of millions."""

import numpy as np

from .compiled import njit


def overlap_groups(boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which boxes are joined by a chain of overlaps of one label.

    Args:
        boxes (ndarray (N, 4)): x1, y1, x2, y2.
        labels (ndarray (N,)): Of others' labels no box is.

    Returns:
        ndarray (N,): A number from 0 on, the same for those of one group.
    """
    order = np.argsort(boxes[:, 0], kind='stable')
    roots = np.empty(len(boxes), np.int64)
    roots[order] = _roots(boxes[order].astype(float), labels[order])
    return np.unique(roots, return_inverse=True)[1].reshape(-1)


@njit
def _roots(boxes, labels):
    """Of boxes by rising left side: one number for each group."""
    parent = np.arange(len(boxes))
    for i in range(len(boxes)):
        for j in range(i + 1, len(boxes)):
            if boxes[j, 0] >= boxes[i, 2]:
                break
            if labels[i] != labels[j]:
                continue
            if boxes[j, 1] < boxes[i, 3] and boxes[i, 1] < boxes[j, 3]:
                a, b = _root(parent, i), _root(parent, j)
                parent[max(a, b)] = min(a, b)
    for i in range(len(boxes)):
        parent[i] = _root(parent, i)
    return parent


@njit
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
