"""The evaluation of Pascal Faces and FDDB, on arrays."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from .wider_face import all_best_faces, first_of_each


def voc_curve(
    detections: Sequence[np.ndarray],
    faces: Sequence[np.ndarray],
    difficult: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """Precision and recall by PASCAL VOC's rules, at an IoU of 0.5.

    A detection takes the face that it overlaps most. If that face is taken
    already, the detection is a false positive. A detection on a difficult face
    does not count.

    Args:
        detections (Sequence[ndarray (D, 5)]): For each image: x, y, w, h,
            score. The width is x2 - x1 of VOC, whose boxes include both ends.
        faces (Sequence[ndarray (K, 4)]): For each image: x, y, w, h.
        difficult (Sequence[ndarray (K,)], optional): The faces that do not
            count. Defaults to None: all count.

    Returns:
        ndarray (N, 2): Precision and recall after each detection, best score
        first, for :func:`~sniper_mmdet.evaluation.average_precision_of`.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.evaluation import average_precision_of, voc_curve
        >>> faces = [np.array([(10.0, 10, 20, 20), (60, 10, 20, 20)])]
        >>> found = [np.array([(10.0, 10, 20, 20, 0.9), (90, 90, 9, 9, 0.8)])]
        >>> voc_curve(found, faces).tolist()
        [[1.0, 0.5], [0.5, 0.5]]
        >>> float(average_precision_of(voc_curve(found, faces)))
        0.5
    """
    scores, _, best = all_best_faces(detections, faces, 'exact')
    order = np.argsort(-scores, kind='stable')
    best = best[order]
    counts = np.ones(sum(map(len, faces)), bool)
    if difficult is not None:
        counts = ~np.concatenate([*difficult, []]).astype(bool)
    kept = np.append(counts, True)[best]
    hits = (kept & first_of_each(best)).cumsum()
    with np.errstate(invalid='ignore', divide='ignore'):
        curve = hits / kept.cumsum(), hits / np.count_nonzero(counts)
    return np.stack(curve, 1)


def fddb_curves(
    detections: Sequence[np.ndarray],
    ellipses: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, int]] | None = None,
) -> dict[str, np.ndarray]:
    """FDDB's discrete and continuous ROC.

    At each score, the detections of an image with at least this score are
    matched one to one with the faces, so that the sum of IoUs is largest. In
    the discrete score a pair counts as found if its IoU is above 0.5; in the
    continuous score it counts by its IoU. Detections without a pair, and those
    of a pair of at most 0.5, are false positives.

    Args:
        detections (Sequence[ndarray (D, 5)]): For each image: x, y, w, h,
            score.
        ellipses (Sequence[ndarray (K, 5)]): For each image: major and minor
            radius, angle of the major axis (radians), centre x, y.
        sizes (Sequence[tuple], optional): Width and height of each image, to
            which regions are clipped. Defaults to None: they are not clipped.

    Returns:
        dict: ``discrete`` and ``continuous``, (N, 3): false positives, true
        positive rate and score, with descending scores.
    """
    rows = [np.zeros((0, 4))]
    for k, (found, own) in enumerate(zip(detections, ellipses, strict=True)):
        if len(found):
            size = sizes[k] if sizes is not None else None
            rows.append(_steps(found, fddb_overlaps(found, own, size)))
    table = np.concatenate(rows)
    table = table[np.argsort(-table[:, 0], kind='stable')]
    scores = table[:, 0]
    # Of equal scores the last row counts for all.
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
    last = last.astype(bool)
    total = max(sum(map(len, ellipses)), 1)
    wrong, discrete, continuous = table[:, 1:].cumsum(0)[last].T
    return {
        name: np.stack([wrong, found / total, scores[last]], 1)
        for name, found in (
            ('discrete', discrete),
            ('continuous', continuous),
        )
    }


def rate_at(curve: np.ndarray, false_positives: float) -> float:
    """The true positive rate of an ROC at a number of false positives.

    Args:
        curve (ndarray (N, 3)): A curve from :func:`fddb_curves`.
        false_positives (float): The number; FDDB's results are
            reported at 1,000.
    """
    reached = curve[curve[:, 0] <= false_positives, 1]
    return float(reached.max(initial=0))


def fddb_overlaps(
    boxes: np.ndarray,
    ellipses: np.ndarray,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """IoUs of boxes and ellipses; a pixel is in one if its centre is.

    Args:
        boxes (ndarray (D, 4 or more)): x, y, w, h.
        ellipses (ndarray (K, 5)): See :func:`fddb_curves`.
        size (tuple[int], optional): Width and height of the image.

    Returns:
        ndarray (D, K)
    """
    low = np.ceil(boxes[:, :2] - 0.5).astype(int)
    high = np.ceil(boxes[:, :2] + boxes[:, 2:4] - 0.5).astype(int)
    if size is not None:
        low, high = low.clip(0, size), high.clip(0, size)
    area = np.maximum(high - low, 0).prod(1)
    found = np.zeros((len(boxes), len(ellipses)))
    for k, ellipse in enumerate(ellipses):
        corner, mask = _ellipse_pixels(ellipse, size)
        # Sums of the mask above and to the left of each pixel.
        sums = np.zeros(np.add(mask.shape, 1), int)
        sums[1:, 1:] = mask.cumsum(0).cumsum(1)
        limit = mask.shape[::-1]
        (x1, y1), (x2, y2) = (
            (ends - corner).clip(0, limit).T for ends in (low, high)
        )
        x2, y2 = np.maximum(x1, x2), np.maximum(y1, y2)
        common = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
        found[:, k] = common / np.maximum(area + mask.sum() - common, 1)
    return found


def _ellipse_pixels(ellipse, size) -> tuple[np.ndarray, np.ndarray]:
    """The first pixel (x, y) of an ellipse's bounding box, and its mask."""
    major, minor, angle, x, y = ellipse[:5]
    cos, sin = np.cos(angle), np.sin(angle)
    half = np.hypot([major * cos, major * sin], [minor * sin, minor * cos])
    low = np.floor(np.array([x, y]) - half).astype(int)
    high = np.ceil(np.array([x, y]) + half).astype(int)
    if size is not None:
        low, high = low.clip(0, size), high.clip(0, size)
    high = np.maximum(low, high)
    dx = np.arange(low[0], high[0])[None] + 0.5 - x
    dy = np.arange(low[1], high[1])[:, None] + 0.5 - y
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    return low, (along / major) ** 2 + (across / minor) ** 2 <= 1


def _steps(found: np.ndarray, overlaps: np.ndarray) -> np.ndarray:
    """The changes of the scores by each detection of an image, best first.

    Returns:
        ndarray (D, 4): The detection's score, and what it adds to the false
        positives, the discrete and the continuous score.
    """
    order = np.argsort(-found[:, 4], kind='stable')
    overlaps = overlaps[order]
    states = np.zeros((len(found) + 1, 3))
    # A detection that overlaps no face changes no pair.
    meets = overlaps.max(1, initial=0) > 0
    for k, meeting in enumerate(meets):
        states[k + 1, 1:] = states[k, 1:]
        if meeting:
            part = overlaps[: k + 1][meets[: k + 1]]
            pairs = part[linear_sum_assignment(part, maximize=True)]
            states[k + 1, 1:] = (pairs > 0.5).sum(), pairs.sum()
        states[k + 1, 0] = k + 1 - states[k + 1, 1]
    return np.column_stack([found[order, 4], np.diff(states, axis=0)])
