"""WIDER FACE's average precision of easy, medium and hard faces, on arrays.

The rules and the arithmetic are those of the authors' MATLAB tool. Boxes are
x, y, w, h, and include the pixels of both ends: the width is w + 1.
"""

from collections.abc import Mapping, Sequence

import numpy as np

#: Number of score thresholds of a curve, evenly spaced down to 0.
NUM_THRESHOLDS = 1000
_LEAST_IOU = 0.5
#: Number of detections that are compared at once with an image's faces.
_BLOCK = 2**20


def wider_curves(
    detections: Sequence[np.ndarray],
    faces: Sequence[np.ndarray],
    counted: Mapping[str, Sequence[np.ndarray]],
    iou: str = 'official',
) -> dict[str, np.ndarray]:
    """Precision and recall at 1,000 thresholds, by difficulty.

    Images without any face, or without a detection, are skipped. Detections in
    images without faces are therefore no errors, and faces in images without
    detections are missed. Scores are normalised in single precision by the
    lowest and the highest score of all images. If these are equal, nothing
    counts as detected.

    Args:
        detections (Sequence[ndarray (D, 5)]): Detections of each image, in any
            order.
        faces (Sequence[ndarray (K, 4)]): All faces of each image, in the order
            of the annotation.
        counted (Mapping): For each difficulty whether each face of each image
            counts, bool (K,). Detections of the others are dropped.
        iou (str): See :func:`best_faces`. Defaults to 'official'.

    Returns:
        dict: For each difficulty (1000, 2): precision, NaN where nothing is
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
        # The last entry stands for no face.
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
    """``AP_easy`` and so on, in %; for the arguments see wider_curves."""
    return {
        f'AP_{name}': 100 * average_precision_of(curve)
        for name, curve in wider_curves(*args, **kwargs).items()
    }


def best_faces(
    boxes: np.ndarray, faces: np.ndarray, iou: str = 'official'
) -> np.ndarray:
    """The face that each detection overlaps most, with an IoU of half or more.

    The tool stores faces as integers, so that MATLAB rounds: the corners of a
    detection where it meets a face, their union, and the IoU itself to 0 or 1.
    Of several faces with an IoU of half a detection therefore takes the first.

    Args:
        boxes (ndarray (D, 4)): The detections.
        faces (ndarray (K, 4)): The faces in the order of the annotation.
        iou (str): 'official', or 'exact': without any rounding, as in the
            tool's ports to Python. Defaults to 'official'.

    Returns:
        ndarray (D,): Indices of faces; -1 if no IoU reaches 0.5.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.evaluation import best_faces
        >>> found = np.array([(61.0, 11, 20, 20), (90, 90, 9, 9)])
        >>> faces = np.array([(10.0, 10, 20, 20), (60, 10, 20, 20)])
        >>> best_faces(found, faces).tolist()
        [1, -1]
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
    """:func:`best_faces` of all images, with the best detection first.

    Returns:
        tuple: For all detections the score, the image, and the face among
        those of all images, -1 for no face; all (N,).
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
    """Whether each detection (N,) is the first of its face; -1 is no face."""
    is_first = np.zeros(len(best), bool)
    is_first[np.unique(best, return_index=True)[1]] = True
    return is_first & (best >= 0)


def average_precision_of(curve: np.ndarray) -> float:
    """The area under a curve of the best precision at any higher recall.

    Args:
        curve (ndarray (N, 2)): Precision, NaN if there is none, and recall,
            which does not decrease.

    Returns:
        float: 0 to 1; NaN if there is no face, and thus no recall.
    """
    precision = np.concatenate([curve[::-1, 0], [0]])
    precision = np.fmax.accumulate(np.fmax(precision, 0))[::-1]
    steps = np.diff(np.concatenate([[0], curve[:, 1]]))
    return float(steps @ precision[1:])


def _overlaps(boxes: np.ndarray, faces: np.ndarray, iou: str) -> np.ndarray:
    """IoUs (D, K) of detections and faces, rounded according to ``iou``."""
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
    """Round to whole numbers, halves away from 0."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)


def _levels(scores: np.ndarray) -> np.ndarray:
    """The first threshold, from 0 on, that each score reaches."""
    if not len(scores):
        return np.zeros(0, int)
    scores = scores.astype(np.float32)
    # The tool searches for the highest from the least value above 0 on.
    high = max(scores.max(), np.finfo(np.float32).tiny)
    with np.errstate(invalid='ignore'):
        scores = (scores - scores.min()) / (high - scores.min())
    thresholds = 1 - np.arange(1, NUM_THRESHOLDS + 1) / NUM_THRESHOLDS
    levels = np.searchsorted(-thresholds, -scores.astype(float))
    levels[np.isnan(scores)] = NUM_THRESHOLDS
    return levels
