"""Groups of overlapping boxes, among millions of boxes."""

import numpy as np

from .compiled import njit


def overlap_groups(boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Group the boxes of one label that a chain of overlaps joins.

    Args:
        boxes (ndarray (N, 4)): x1, y1, x2, y2.
        labels (ndarray (N,)): Label of each box; a group has one label.

    Returns:
        ndarray (N,): The number of each box's group, from 0 on.
    """
    order = np.argsort(boxes[:, 0], kind='stable')
    roots = np.empty(len(boxes), np.int64)
    roots[order] = _roots(boxes[order].astype(float), labels[order])
    return np.unique(roots, return_inverse=True)[1].reshape(-1)


@njit
def _roots(boxes, labels):
    """One number for each group; boxes are sorted by their left side."""
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
