"""Precision, recall and F1 of a detector, by score threshold."""

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
    scores, hits, count = _counted(truth, detections, iou_thr)
    if not count:
        return dict.fromkeys(('precision', 'recall', 'F1'), float('nan'))
    sure = scores >= score_thr
    right, found = int(hits[sure].sum()), int(sure.sum())
    return dict(
        precision=100 * right / max(found, 1),
        recall=100 * right / count,
        F1=100 * 2 * right / (found + count),
    )


def best_f1(
    truth: COCO, detections: list[dict], iou_thr: float = 0.5
) -> dict[str, float]:
    """The best F1 of all score thresholds, and that threshold.

    Args:
        truth (COCO): As for :func:`f1_at`.
        detections (list[dict]): COCO results.
        iou_thr (float): Least IoU of a match. Defaults to 0.5.

    Returns:
        dict: ``best_F1`` in % and ``best_score``, the least score that
        counts; NaN without an object or without a hit.
    """
    scores, hits, count = _counted(truth, detections, iou_thr)
    if not hits.any():
        return dict.fromkeys(('best_F1', 'best_score'), float('nan'))
    f1 = 2 * hits.cumsum() / (np.arange(1, len(hits) + 1) + count)
    # Of equal scores all count, or none.
    f1[:-1][scores[:-1] == scores[1:]] = 0
    best = f1.argmax()
    return dict(best_F1=100 * f1[best], best_score=float(scores[best]))


def _counted(
    truth: COCO, detections: list[dict], iou_thr: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Scores of the detections that count, best first; hits; objects.

    Detections in crowds do not count. A threshold changes no hit above it.
    """
    boxes, scores, objects = {}, {}, {}
    for one in sorted(detections, key=lambda one: -one['score']):
        key = one['image_id'], one['category_id']
        boxes.setdefault(key, []).append(one['bbox'])
        scores.setdefault(key, []).append(one['score'])
    count = 0
    for one in truth.dataset.get('annotations', ()):
        key = one['image_id'], one['category_id']
        objects.setdefault(key, []).append(one)
        count += not one.get('iscrowd')
    counted, hits = [np.zeros(0)], [np.zeros(0, bool)]
    for key, found in boxes.items():
        own = objects.get(key, [])
        (hit,), (ignored,) = match(
            np.array(found, float), own, np.array([iou_thr])
        )
        counted.append(np.array(scores[key])[~ignored])
        hits.append(hit[~ignored])
    scores, hits = np.concatenate(counted), np.concatenate(hits)
    order = np.argsort(-scores, kind='stable')
    return scores[order], hits[order], count
