"""WIDER FACE's average precision of easy, medium and hard faces, of arrays.

The rules are those of the authors' MATLAB tool, down to its arithmetic. Boxes
are x, y, w, h, and have the pixels of both their ends: a width is w + 1.
"""

from collections.abc import Mapping, Sequence

import numpy as np

#: Thresholds of a score by which a curve is drawn, evenly down to 0.
NUM_THRESHOLDS = 1000
_LEAST_IOU = 0.5
#: Detections compared at once with the faces of an image.
_BLOCK = 2**20


def wider_curves(
    detections: Sequence[np.ndarray],
    faces: Sequence[np.ndarray],
    counted: Mapping[str, Sequence[np.ndarray]],
    iou: str = 'official',
) -> dict[str, np.ndarray]:
    """Precision and recall at 1,000 thresholds, by difficulty.

    Images without any face, or without a detection, are passed over: what was
    found in the first counts as no error, faces of the second are missed.
    Scores are normalised in single precision by the least and the highest of
    all images; where these are equal, nothing counts as detected.

    Args:
        detections (Sequence[ndarray (D, 5)]): Of each image, in any order.
        faces (Sequence[ndarray (K, 4)]): All faces of each image, in the
            order of the annotation.
        counted (Mapping): By difficulty, which faces of each image count,
            bool (K,); detections of the others are dropped.
        iou (str): See :func:`best_faces`. Defaults to 'official'.

    Returns:
        dict: By difficulty (1000, 2): precision, NaN where nothing was
        detected, and recall.
    """
    scores, image, best = all_best_faces(detections, faces, iou)
    levels = _levels(scores)
    has_faces = np.array([len(own) > 0 for own in faces], bool)
    seen = (levels < NUM_THRESHOLDS) & has_faces[image]
    levels, best = levels[seen], best[seen]
    is_first = first_of_each(best)
    curves = {}
    for name, masks in counted.items():
        # The last one is that of no face.
        counts = np.concatenate([*masks, [True]]).astype(bool)
        kept = counts[best]
        hits = kept & is_first
        kept, hits = (
            np.bincount(levels[mask], minlength=NUM_THRESHOLDS).cumsum()
            for mask in (kept, hits)
        )
        with np.errstate(invalid='ignore'):
            curve = hits / kept, hits / np.count_nonzero(counts[:-1])
        curves[name] = np.stack(curve, 1)
    return curves


def wider_precisions(*args, **kwargs) -> dict[str, float]:
    """``AP_easy`` and its like, in %; arguments as of :func:`wider_curves`."""
    return {
        f'AP_{name}': 100 * average_precision_of(curve)
        for name, curve in wider_curves(*args, **kwargs).items()
    }


def best_faces(
    boxes: np.ndarray, faces: np.ndarray, iou: str = 'official'
) -> np.ndarray:
    """The face that each detection overlaps most, by half or more.

    The tool keeps faces as integers, so MATLAB rounds: the corners of a
    detection to whole pixels where it meets a face, their union, and the IoU
    itself to 0 or 1. Of several faces that a detection overlaps by half it so
    takes the first.

    Args:
        boxes (ndarray (D, 4)): Detections.
        faces (ndarray (K, 4)): In the order of the annotation.
        iou (str): 'official', or 'exact': without any rounding, as ports of
            the tool to Python have it. Defaults to 'official'.

    Returns:
        ndarray (D,): Indices of faces, -1 where no IoU is 0.5.
    """
    best = np.full(len(boxes), -1)
    if not len(faces):
        return best
    size = max(_BLOCK // len(faces), 1)
    for start in range(0, len(boxes), size):
        block = slice(start, start + size)
        found = _overlaps(boxes[block], faces, iou)
        index = found.argmax(1)
        enough = found[np.arange(len(found)), index] >= _LEAST_IOU
        best[block] = np.where(enough, index, -1)
    return best


def all_best_faces(
    detections: Sequence[np.ndarray],
    faces: Sequence[np.ndarray],
    iou: str = 'official',
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """:func:`best_faces` of all images, the best detection of each first.

    Returns:
        tuple: Of all detections the score, the image, and the face among
        those of all images, -1 for none; all (N,).
    """
    scores, images, best = (
        [np.zeros(0)],
        [np.zeros(0, int)],
        [np.zeros(0, int)],
    )
    start = 0
    for k, (found, own) in enumerate(zip(detections, faces, strict=True)):
        if len(found):
            found = found[np.argsort(-found[:, 4], kind='stable')]
            which = best_faces(found[:, :4], own, iou)
            which[which >= 0] += start
            scores.append(found[:, 4])
            images.append(np.full(len(found), k))
            best.append(which)
        start += len(own)
    return tuple(map(np.concatenate, (scores, images, best)))


def first_of_each(best: np.ndarray) -> np.ndarray:
    """Which detections (N,) are the first of their face; none has the -1."""
    is_first = np.zeros(len(best), bool)
    is_first[np.unique(best, return_index=True)[1]] = True
    return is_first & (best >= 0)


def average_precision_of(curve: np.ndarray) -> float:
    """The area under a curve, precision being that at any higher recall.

    Args:
        curve (ndarray (N, 2)): Precision, NaN where there is none, and
            recall, which does not fall.

    Returns:
        float: 0 to 1; NaN where there is no face, and so no recall.
    """
    precision = np.concatenate([curve[::-1, 0], [0]])
    precision = np.fmax.accumulate(np.fmax(precision, 0))[::-1]
    steps = np.diff(np.concatenate([[0], curve[:, 1]]))
    return float(steps @ precision[1:])


def _overlaps(boxes: np.ndarray, faces: np.ndarray, iou: str) -> np.ndarray:
    """IoUs (D, K) of detections with faces, rounded as ``iou`` says."""
    boxes, faces = boxes.astype(float), faces.astype(float)
    ends, face_ends = boxes[:, :2] + boxes[:, 2:], faces[:, :2] + faces[:, 2:]
    area = (ends - boxes[:, :2] + 1).prod(1)
    face_area = (face_ends - faces[:, :2] + 1).prod(1)
    starts, rounded = boxes[:, :2], iou == 'official'
    if rounded:
        starts, ends = _round(starts), _round(ends)
    sides = [
        np.minimum(ends[:, k, None], face_ends[:, k])
        - np.maximum(starts[:, k, None], faces[:, k])
        + 1
        for k in (0, 1)
    ]
    common = sides[0] * sides[1]
    union = area[:, None] + face_area
    union = (_round(union) if rounded else union) - common
    with np.errstate(divide='ignore', invalid='ignore'):
        found = common / union
    if rounded:
        found = _round(found)
    found[(sides[0] <= 0) | (sides[1] <= 0) | np.isnan(found)] = 0
    return found


def _round(values: np.ndarray) -> np.ndarray:
    """Whole numbers; halves are rounded away from 0."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)


def _levels(scores: np.ndarray) -> np.ndarray:
    """The first threshold, from 0 on, that each score reaches."""
    if not len(scores):
        return np.zeros(0, int)
    scores = scores.astype(np.float32)
    # Where the tool begins to look for the highest: at the least above 0.
    high = max(scores.max(), np.finfo(np.float32).tiny)
    with np.errstate(invalid='ignore'):
        scores = (scores - scores.min()) / (high - scores.min())
    thresholds = 1 - np.arange(1, NUM_THRESHOLDS + 1) / NUM_THRESHOLDS
    levels = np.searchsorted(-thresholds, -scores.astype(float))
    levels[np.isnan(scores)] = NUM_THRESHOLDS
    return levels
