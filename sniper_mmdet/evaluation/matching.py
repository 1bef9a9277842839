"""Detections matched to objects, and precision and recall of the matches.

What COCO's evaluation fixes is an argument here: how good a match must be,
how many detections count, and among which they are the best.
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

    The best detection comes first, and takes the free object that it overlaps
    most, the last one of equals; one that finds none is ignored where enough
    of it lies in a crowd, which is never taken.

    Args:
        boxes (ndarray (D, 4)): x, y, w, h, best first.
        objects (Sequence[dict]): COCO annotations: ``bbox`` and ``iscrowd``.
        thresholds (ndarray (T,)): Least IoU of a match.

    Returns:
        tuple: Which detections hit an object, and which are ignored, bool
        (T, D).
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
        scores (ndarray (D,)): Of the detections of all images.
        ranks (ndarray (D,)): Their places in their image, from 0: among those
            of their class or of all classes, whichever are counted together.
        hits (ndarray (D, T)): Which hit an object, at T IoU thresholds.
        ignored (ndarray (D, T)): Which do not count.
        count (int): Number of objects.
        max_detections (Sequence[int]): Numbers of best detections per image.

    Returns:
        tuple: The area under precision over recall, of all detections, (T,),
        and the recalls of the best of each image, (T, len(max_detections)).
    """
    order = np.argsort(-scores, kind='stable')
    hits, wrong = hits[order], ~(hits | ignored)[order]
    num_hits = hits.cumsum(0)
    precision = num_hits / np.maximum(num_hits + wrong.cumsum(0), 1)
    # The best at this recall or a higher one.
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    area = (precision * hits).sum(0) / count
    among = ranks[order, None] < np.asarray(max_detections)
    return area, hits.T.astype(int) @ among / count


def mean_of_known(values: np.ndarray) -> float:
    """Mean of what is neither NaN nor COCO's -1; NaN where nothing is."""
    values = values[values > -1]
    return values.mean() if len(values) else np.nan


def at_thresholds(
    name: str, values: np.ndarray, thresholds: np.ndarray = THRESHOLDS
) -> dict[str, float]:
    """Means of values (T, ...) at an IoU of 0.5 and of 0.75, {name}50, ..."""
    at = {k: np.isclose(thresholds, k / 100) for k in (50, 75)}
    return {f'{name}{k}': mean_of_known(values[at[k]]) for k in at}
