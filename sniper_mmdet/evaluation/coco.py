"""Values that COCO's summary leaves out, computed from COCO's matching."""

from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sniper_mmdet.utils.quiet import quiet

from .ground_truth import number_annotations
from .matching import at_thresholds, mean_of_known

#: Size ranges of proposals in SNIPER, table 1, pixels.
RECALL_SIZES = ((0, 25), (25, 50), (50, 100), (100, 200), (200, 300))


def evaluate_boxes(
    ground_truth: COCO, detections: list[dict] | np.ndarray, **params
) -> COCOeval:
    """Run and accumulate COCO's evaluation of boxes, without output.

    Args:
        ground_truth (COCO): Annotations; see :func:`number_annotations`.
        detections (list[dict] | ndarray): COCO results: ``image_id``,
            ``category_id``, ``bbox`` (x, y, w, h), ``score``; or an array, as
            ``COCO.loadRes`` takes it.
        **params: Values of ``COCOeval.params``, such as ``maxDets``.
    """
    number_annotations(ground_truth)
    with quiet():
        # COCO's own reader refuses an empty list.
        found = ground_truth.loadRes(detections) if len(detections) else COCO()
        evaluation = COCOeval(ground_truth, found, 'bbox')
        for name, value in params.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def average_precision(evaluation: COCOeval) -> dict[str, float]:
    """AP, AP50, AP75 and AP by size in %; NaN if there is no object.

    Examples:
        >>> from pycocotools.coco import COCO
        >>> from sniper_mmdet.evaluation import (
        ...     average_precision, evaluate_boxes)
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
        >>> result = average_precision(evaluate_boxes(truth, found))
        >>> round(float(result['AP']), 1), round(float(result['AP50']), 1)
        (60.0, 100.0)
    """
    # IoU thresholds, recalls, classes, sizes; for the largest maxDets.
    precision = evaluation.eval['precision'][..., -1]
    every = precision[..., 0]
    result = dict(AP=mean_of_known(every))
    result |= at_thresholds('AP', every, evaluation.params.iouThrs)
    for area, name in enumerate(('AP_S', 'AP_M', 'AP_L'), start=1):
        result[name] = mean_of_known(precision[..., area])
    return {name: 100 * value for name, value in result.items()}


def false_positives(evaluation: COCOeval, recall: float) -> float:
    """False positives per image at the score where a share is found.

    Detections of all classes are counted together, best first, until the share
    of all objects is found at an IoU of 0.5. Detections that match an ignored
    object do not count.

    Args:
        evaluation (COCOeval): Result of :func:`evaluate_boxes`.
        recall (float): The share of all objects of all classes.

    Returns:
        float: inf if the detections never reach this recall.
    """
    threshold = np.flatnonzero(np.isclose(evaluation.params.iouThrs, 0.5))[0]
    every_size = evaluation.params.areaRng[0]
    rows = [
        (
            image['dtScores'],
            image['dtMatches'][threshold] > 0,
            image['dtIgnore'][threshold] == 0,
            np.equal(image['gtIgnore'], 0),
        )
        for image in evaluation.evalImgs
        if image is not None and image['aRng'] == every_size
    ]
    columns = map(np.concatenate, zip(*rows, strict=True))
    scores, matched, counts, objects = columns
    order = np.argsort(-scores, kind='stable')
    found = np.cumsum((matched & counts)[order])
    reached = np.flatnonzero(found >= recall * np.count_nonzero(objects))
    if not len(reached):
        return float('inf')
    count = (~matched & counts)[order][: reached[0] + 1].sum()
    return count / len(evaluation.params.imgIds)


def proposal_recall(
    sizes: np.ndarray,
    boxes: Sequence[np.ndarray],
    proposals: Sequence[np.ndarray],
    num: int = 900,
    ranges: Sequence[tuple[float, float]] = RECALL_SIZES,
) -> dict[str, float]:
    """Average recall of proposals, also by object size (SNIPER, table 1).

    Args:
        sizes (ndarray (N, 2)): Width and height of the images.
        boxes (Sequence[ndarray (K, 4)]): Annotated boxes of each image.
        proposals (Sequence[ndarray (M, 5)]): Boxes and scores of each image.
        num (int): Number of best proposals per image that count. Defaults to
            900.
        ranges (Sequence[tuple]): (low, high) sizes, original pixels. Defaults
            to :data:`RECALL_SIZES`.

    Returns:
        dict: ``AR``, ``AR50``, ``AR75`` and ``AR {low}-{high}`` in %. ``AR``
        and the ranges are means over IoU 0.5 to 0.95. NaN if there is no
        object.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.evaluation import proposal_recall
        >>> recall = proposal_recall(
        ...     sizes=np.array([(100, 100)]),
        ...     boxes=[np.array([(10, 10, 50, 50)])],
        ...     proposals=[np.array([(10, 10, 50, 40, 0.9)])])
        >>> round(float(recall['AR']), 1), round(float(recall['AR50']), 1)
        (60.0, 100.0)
    """
    sides = np.concatenate([[(0, 1e10)], np.square(ranges, dtype=float)])
    found = np.zeros((10, len(sides)))  # by IoU threshold and size
    present = np.zeros(len(sides))
    # COCO's evaluation keeps a megabyte per image.
    for start in range(0, len(boxes), 200):
        block = slice(start, start + 200)
        evaluation = _evaluate_block(
            sizes[block], boxes[block], proposals[block], num, sides
        )
        # IoU thresholds, classes (one), sizes, numbers (one).
        recall = evaluation.eval['recall'][:, 0, :, 0]
        areas = [ann['area'] for ann in evaluation.cocoGt.anns.values()]
        areas = np.array(areas)[:, None]
        count = ((areas >= sides[:, 0]) & (areas <= sides[:, 1])).sum(0)
        found += np.where(count > 0, recall * count, 0)
        present += count
    with np.errstate(invalid='ignore'):
        recall = 100 * found / present
    result = dict(AR=recall[:, 0].mean())
    result |= at_thresholds('AR', recall[:, 0])
    for k, (low, high) in enumerate(ranges, start=1):
        result[f'AR {low}-{high}'] = recall[:, k].mean()
    return {name: float(value) for name, value in result.items()}


def _evaluate_block(sizes, boxes, proposals, num, sides) -> COCOeval:
    images = enumerate(np.asarray(sizes).tolist())
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=k, width=w, height=h) for k, (w, h) in images],
        annotations=[],
        categories=[dict(id=1, name='object')],
    )
    with quiet():
        truth.createIndex()
        if any(map(len, boxes)):
            truth = truth.loadRes(_results(boxes))
    return evaluate_boxes(
        truth,
        _results(proposals),
        useCats=0,
        maxDets=[num],
        areaRng=sides.tolist(),
        areaRngLbl=[str(side) for side in sides],
    )


def _results(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Rows for COCO: image, x, y, w, h, score (1 if none), class 1."""
    found = [own for own in boxes if len(own)] or [np.zeros((0, 4))]
    found = np.concatenate(found)
    rows = np.ones((len(found), 7))
    rows[:, 0] = np.repeat(np.arange(len(boxes)), [len(b) for b in boxes])
    rows[:, 1 : 1 + found.shape[1]] = found
    rows[:, 3:5] -= rows[:, 1:3]
    return rows
