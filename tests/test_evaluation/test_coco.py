"""False positives and recall of scenes counted by hand."""

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO

from sniper_mmdet.evaluation import (
    ProposalRecallMetric,
    average_precision,
    evaluate_boxes,
    false_positives,
    proposal_recall,
)

BOXES = [[10, 10, 20, 20], [50, 10, 20, 20], [90, 10, 20, 20]]


def truth(boxes=BOXES, crowd=(), num_images=2):
    """Boxes (x, y, w, h) of the first image, of two classes in turn."""
    coco = COCO()
    coco.dataset = dict(
        images=[dict(id=i, width=200, height=100) for i in range(num_images)],
        annotations=[
            dict(
                id=k + 1,
                image_id=0,
                category_id=1 + k % 2,
                bbox=list(box),
                area=box[2] * box[3],
                iscrowd=int(k in crowd),
            )
            for k, box in enumerate(boxes)
        ],
        categories=[dict(id=1, name='a'), dict(id=2, name='b')],
    )
    coco.createIndex()
    return coco


def found(box, score, category=1, image=0):
    return dict(
        image_id=image, category_id=category, bbox=list(box), score=score
    )


DETECTIONS = [
    found(BOXES[0], 0.9),
    found([150, 60, 20, 20], 0.8, image=1),  # nothing is there
    found(BOXES[0], 0.75),  # found already
    found(BOXES[1], 0.7, category=2),
    found([52, 60, 20, 20], 0.65, category=2),
    found(BOXES[2], 0.6),
    found([0, 60, 20, 20], 0.5),
]


@pytest.mark.parametrize(
    'recall, wrong',
    [(0.1, 0), (1 / 3, 0), (0.5, 2), (2 / 3, 2), (0.7, 3), (1, 3)],
)
def test_false_positives_up_to_a_recall(recall, wrong):
    evaluation = evaluate_boxes(truth(), DETECTIONS)
    assert false_positives(evaluation, recall) == wrong / 2  # two images


def test_a_recall_that_is_not_reached():
    evaluation = evaluate_boxes(truth(), DETECTIONS[:3])
    assert false_positives(evaluation, 0.5) == float('inf')


def test_the_wrong_class_and_a_poor_fit_are_false():
    detections = [
        found(BOXES[0], 0.9, category=2),
        found([10, 10, 20, 9], 0.8),  # IoU 0.45
        found([10, 10, 20, 11], 0.7),  # IoU 0.55
    ]
    evaluation = evaluate_boxes(truth(BOXES[:1]), detections)
    assert false_positives(evaluation, 1) == 2 / 2


def test_crowds_do_not_count():
    detections = [found(BOXES[2], 0.95), *DETECTIONS[:2], DETECTIONS[3]]
    evaluation = evaluate_boxes(truth(crowd=[2]), detections)
    # Two objects; what lies in the crowd is neither right nor wrong.
    assert false_positives(evaluation, 1) == 1 / 2


def test_average_precision_is_that_of_coco():
    evaluation = evaluate_boxes(truth(), DETECTIONS)
    evaluation.summarize()
    result = average_precision(evaluation)
    assert list(result.values()) == pytest.approx(
        [100 * v if v > -1 else np.nan for v in evaluation.stats[:6]],
        nan_ok=True,
    )
    assert 0 < result['AP'] < 100 and np.isnan(result['AP_M'])


def test_no_detection_at_all():
    evaluation = evaluate_boxes(truth(), [])
    assert average_precision(evaluation)['AP'] == 0


SIZES = np.array([(400, 400), (400, 400)])
OBJECTS = [
    np.array([(0, 0, 10, 10), (100, 100, 130, 130)], np.float32),
    np.array([(0, 0, 300, 250)], np.float32),
]


def proposals(*boxes):
    return np.array([(*b, 1 - k / 10) for k, b in enumerate(boxes)], float)


def test_recall_by_size():
    found = [
        # Exact; and of IoU 0.8, which is found at 7 thresholds of 10.
        proposals((0, 0, 10, 10), (100, 100, 130, 124)),
        np.zeros((0, 5)),
    ]
    recall = proposal_recall(SIZES, OBJECTS, found)
    assert recall == pytest.approx(
        {
            'AR': 100 * (1 + 0.7) / 3,
            'AR50': 200 / 3,
            'AR75': 200 / 3,
            'AR 0-25': 100,
            'AR 25-50': 70,
            'AR 50-100': np.nan,
            'AR 100-200': np.nan,
            'AR 200-300': 0,
        },
        nan_ok=True,
    )


def test_only_the_best_proposals_count():
    wrong = [(200, 200, 220, 220)] * 3
    found = [proposals(*wrong, *OBJECTS[0]), proposals(*OBJECTS[1])]
    assert proposal_recall(SIZES, OBJECTS, found, num=5)['AR'] == 100
    assert proposal_recall(SIZES, OBJECTS, found, num=4)['AR'] == (
        pytest.approx(200 / 3)
    )
    assert proposal_recall(SIZES, OBJECTS, found, num=3)['AR'] == (
        pytest.approx(100 / 3)
    )


def test_metric_of_a_test_run():
    metric = ProposalRecallMetric()
    for boxes in OBJECTS:
        sample = dict(
            ori_shape=(400, 400),
            gt_instances=dict(bboxes=torch.from_numpy(boxes)),
            pred_instances=dict(
                bboxes=torch.from_numpy(boxes[:1]), scores=torch.ones(1)
            ),
        )
        metric.process({}, [sample])
    result = metric.evaluate(2)
    assert result['proposals/AR'] == pytest.approx(200 / 3)
    assert result['proposals/AR_0-25'] == 100
    assert result['proposals/AR_25-50'] == 0
