"""Matches detections to objects; precision and recall of the matches.

COCO's evaluation has fixed values where this module has arguments: the least
IoU of a match, the number of detections that count, and the set in which they
are ranked.
"""

from collections.abc import Sequence

import numpy as np
from pycocotools import mask

#: IoU thresholds of COCO and VisDrone.
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def match(
    boxes: np.ndarray,
    objects: Sequence[dict],
    thresholds: np.ndarray = THRESHOLDS,
) -> tuple[np.ndarray, np.ndarray]:
    """Match detections of one class to its objects in one image.

    Detections come best first. Each takes the free object that it overlaps
    most, of equals the last. A detection without an object is ignored if
    enough of it lies in a crowd; a crowd is never taken.

    Args:
        boxes (ndarray (D, 4)): x, y, w, h, best first.
        objects (Sequence[dict]): COCO annotations: ``bbox`` and ``iscrowd``.
        thresholds (ndarray (T,)): Least IoU of a match.

    Returns:
        tuple: Whether each detection hits an object, and whether it is
        ignored, bool (T, D).

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.evaluation.matching import match
        >>> objects = [dict(bbox=[10, 10, 40, 40], iscrowd=0)]
        >>> boxes = np.array([(10.0, 10, 40, 30), (70, 70, 20, 20)])
        >>> hits, ignored = match(boxes, objects, np.array([0.5, 0.9]))
        >>> hits.tolist()
        [[True, False], [False, False]]
    """
    hits = np.zeros((len(thresholds), len(boxes)), bool)
    if not len(boxes) or not objects:
        return hits, hits
    crowd = np.array([bool(a['iscrowd']) for a in objects])
    overlaps = mask.iou(
        boxes, np.array([a['bbox'] for a in objects], float), crowd.tolist()
    )
    ignored = overlaps[:, crowd].max(1, initial=0) >= thresholds[:, None]
    overlaps = overlaps[:, ~crowd][:, ::-1]  # argmax gives the first
    free = np.ones((len(thresholds), overlaps.shape[1]), bool)
    reach = overlaps.max(1, initial=0)
    for k in np.flatnonzero(reach >= thresholds.min()):
        candidates = np.where(free, overlaps[k], 0)
        best = candidates.argmax(1)
        hit = candidates.max(1) >= thresholds
        free[hit, best[hit]] = False
        hits[:, k] = hit
    return hits, ignored & ~hits


def precision_recall(
    scores: np.ndarray,
    ranks: np.ndarray,
    hits: np.ndarray,
    ignored: np.ndarray,
    count: int,
    max_detections: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of the detections of one class.

    Args:
        scores (ndarray (D,)): Scores of the detections of all images.
        ranks (ndarray (D,)): Rank of each detection in its image, from 0:
            within its class, or within all classes.
        hits (ndarray (D, T)): Whether it hits an object, at T IoU thresholds.
        ignored (ndarray (D, T)): Whether it does not count.
        count (int): Number of objects.
        max_detections (Sequence[int]): Numbers of best detections per image.

    Returns:
        tuple: The area under the precision-recall curve of all detections,
        (T,), and the recalls of the best detections of each image, (T,
        len(max_detections)).
    """
    order = np.argsort(-scores, kind='stable')
    hits, wrong = hits[order], ~(hits | ignored)[order]
    num_hits = hits.cumsum(0)
    precision = num_hits / np.maximum(num_hits + wrong.cumsum(0), 1)
    # The best precision at this recall or a higher one.
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    area = (precision * hits).sum(0) / count
    among = ranks[order, None] < np.asarray(max_detections)
    return area, hits.T.astype(int) @ among / count


def mean_of_known(values: np.ndarray) -> float:
    """Mean of the values that are neither NaN nor COCO's -1; NaN if none."""
    values = values[values > -1]
    return values.mean() if len(values) else np.nan


def at_thresholds(
    name: str, values: np.ndarray, thresholds: np.ndarray = THRESHOLDS
) -> dict[str, float]:
    """Means of values (T, ...) at IoU 0.5 and 0.75: {name}50, {name}75."""
    at = {k: np.isclose(thresholds, k / 100) for k in (50, 75)}
    return {f'{name}{k}': mean_of_known(values[at[k]]) for k in at}
