"""Precision, recall and F1 of a detector at one score threshold."""

import numpy as np
from pycocotools.coco import COCO

from .matching import match


def f1_at(
    truth: COCO,
    detections: list[dict],
    score_thr: float = 0.4,
    iou_thr: float = 0.5,
) -> dict[str, float]:
    """Precision, recall and F1 of the detections from a score threshold on.

    Detections of all classes and images are counted together. Detections in
    crowds do not count.

    Args:
        truth (COCO): Annotations, see :func:`read_ground_truth`.
        detections (list[dict]): COCO results.
        score_thr (float): Least score of a detection. Defaults to 0.4.
        iou_thr (float): Least IoU of a match. Defaults to 0.5.

    Returns:
        dict: ``precision``, ``recall``, ``F1`` in %; NaN without an object.

    Examples:
        >>> from pycocotools.coco import COCO
        >>> from sniper_mmdet.evaluation.operating_point import f1_at
        >>> truth = COCO()
        >>> truth.dataset = dict(
        ...     images=[dict(id=1)], categories=[dict(id=1)],
        ...     annotations=[dict(id=1, image_id=1, category_id=1, iscrowd=0,
        ...                       bbox=[10, 10, 40, 40], area=1600)])
        >>> truth.createIndex()
        creating index...
        index created!
        >>> found = [dict(image_id=1, category_id=1, bbox=[10, 10, 40, 30],
        ...               score=0.9)]
        >>> f1_at(truth, found)
        {'precision': 100.0, 'recall': 100.0, 'F1': 100.0}
    """
    sure = [one for one in detections if one['score'] >= score_thr]
    sure.sort(key=lambda one: -one['score'])
    boxes, objects = {}, {}
    for one in sure:
        key = one['image_id'], one['category_id']
        boxes.setdefault(key, []).append(one['bbox'])
    for one in truth.dataset.get('annotations', ()):
        key = one['image_id'], one['category_id']
        objects.setdefault(key, []).append(one)
    thresholds, right, wrong = np.array([iou_thr]), 0, 0
    for key, found in boxes.items():
        own = objects.get(key, [])
        hits, ignored = match(np.array(found, float), own, thresholds)
        right += int(hits.sum())
        wrong += int((~hits & ~ignored).sum())
    count = sum(
        not one.get('iscrowd') for own in objects.values() for one in own
    )
    if not count:
        return dict.fromkeys(('precision', 'recall', 'F1'), float('nan'))
    precision, recall = right / max(right + wrong, 1), right / count
    return dict(
        precision=100 * precision,
        recall=100 * recall,
        F1=100 * 2 * right / (right + wrong + count),
    )
