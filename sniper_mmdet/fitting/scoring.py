"""COCO's AP of boxes, image by image, so that matches can be reused."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sniper_mmdet.evaluation.matching import match, mean_of_known

#: Detections per class and image that count, as in COCO.
_MOST = 100
_RECALLS = np.linspace(0, 1, 101)


class Matches(NamedTuple):
    """The detections of one class in one image, matched to its objects.

    ``scores`` (D,) are falling. ``hits`` and ``ignored`` are bool (T, D), at
    the IoU thresholds of COCO. ``count`` is the number of objects.
    """

    scores: np.ndarray
    hits: np.ndarray
    ignored: np.ndarray
    count: int


def match_image(
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    objects: Sequence[dict],
) -> dict[int, Matches]:
    """Match the detections of an image, by label.

    Args:
        boxes (ndarray (D, 4)): x1, y1, x2, y2.
        scores (ndarray (D,)): Scores, falling.
        labels (ndarray (D,)): Labels of the boxes.
        objects (Sequence[dict]): Annotations: ``bbox`` (x, y, w, h),
            ``iscrowd``, ``label``.
    """
    boxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    boxes = boxes.astype(np.float64)
    matches = {}
    for label in {*labels.tolist(), *(one['label'] for one in objects)}:
        own = np.flatnonzero(labels == label)[:_MOST]
        theirs = [one for one in objects if one['label'] == label]
        count = sum(not one['iscrowd'] for one in theirs)
        found = match(boxes[own], theirs)
        matches[label] = Matches(scores[own], *found, count)
    return matches


def average_precision(images: Sequence[dict[int, Matches]]) -> float:
    """Compute COCO's AP in % over all images; NaN without an object.

    Examples:
        >>> import numpy as np
        >>> objects = [dict(bbox=[0, 0, 10, 10], iscrowd=0, label=0)]
        >>> matches = match_image(
        ...     np.array([[0, 0, 10, 10]]), np.array([0.9]), np.array([0]),
        ...     objects)
        >>> f'{average_precision([matches]):.1f}'
        '100.0'
    """
    labels = {label for image in images for label in image}
    own = [[image[k] for image in images if k in image] for k in labels]
    return 100 * mean_of_known(np.array([_of_class(one) for one in own]))


def _of_class(matches: Sequence[Matches]) -> float:
    scores, hits, ignored, counts = zip(*matches, strict=True)
    if not sum(counts):
        return np.nan
    order = np.argsort(-np.concatenate(scores), kind='stable')
    hits = np.concatenate(hits, 1)[:, order]
    wrong = ~(hits | np.concatenate(ignored, 1)[:, order])
    hits = hits.cumsum(1)
    precision = hits / np.maximum(hits + wrong.cumsum(1), 1)
    # The best precision at this recall or a higher one; 0 beyond the last.
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    precision = np.pad(precision, ((0, 0), (0, 1)))
    recall = hits / sum(counts)
    return np.mean(
        [
            own[np.searchsorted(reached, _RECALLS)].mean()
            for own, reached in zip(precision, recall, strict=True)
        ]
    )
