"""AP that is put together from images, beside COCO's own."""

import numpy as np
import pytest
from pycocotools.coco import COCO

from sniper_mmdet.evaluation import average_precision, evaluate_boxes
from sniper_mmdet.fitting import scoring


def scene(rng, classes, crowd):
    objects, found = [], []
    for _ in range(rng.integers(0, 9)):
        box = [*rng.uniform(0, 90, 2), *rng.uniform(4, 40, 2)]
        label = int(rng.integers(classes))
        is_crowd = int(rng.random() < crowd)
        objects.append(dict(bbox=box, iscrowd=is_crowd, label=label))
        for _ in range(rng.integers(0, 4)):
            moved = np.array(box) + rng.normal(0, 2, 4)
            found.append((rng.random(), label, moved.clip(1)))
    for _ in range(rng.integers(0, 130)):
        box = [*rng.uniform(0, 90, 2), *rng.uniform(4, 40, 2)]
        found.append((rng.random() / 2, int(rng.integers(classes)), box))
    return objects, sorted(found, key=lambda one: -one[0])


@pytest.mark.parametrize('classes, crowd', [(1, 0), (3, 0), (2, 0.3)])
def test_as_coco_evaluates(classes, crowd):
    rng = np.random.default_rng(classes)
    annotations, rows, matched = [], [], []
    for key in range(12):
        objects, found = scene(rng, classes, crowd)
        for one in objects:
            rest = dict(image_id=key, category_id=one['label'])
            area = np.prod(one['bbox'][2:])
            number = len(annotations) + 1
            annotations.append(dict(one, area=area, id=number, **rest))
        rows += [[key, *box, score, label] for score, label, box in found]
        boxes = np.array([box for _, _, box in found]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        scores = np.array([score for score, _, _ in found])
        labels = np.array([label for _, label, _ in found], int)
        own = scoring.match_image(boxes, scores, labels, objects)
        matched.append(own)
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=key) for key in range(12)],
        annotations=annotations,
        categories=[dict(id=label) for label in range(classes)],
    )
    truth.createIndex()
    expected = average_precision(evaluate_boxes(truth, np.array(rows)))['AP']
    assert 10 < expected < 90
    assert scoring.average_precision(matched) == pytest.approx(expected)


def test_without_objects_or_detections():
    nothing = np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
    box = dict(bbox=[0, 0, 9, 9], iscrowd=0, label=2)
    assert scoring.match_image(*nothing, []) == {}
    missed = scoring.match_image(*nothing, [box])
    assert scoring.average_precision([missed, {}]) == 0
    crowd = scoring.match_image(*nothing, [dict(box, iscrowd=1)])
    assert np.isnan(scoring.average_precision([crowd]))
    hit = np.array([[0, 0, 9, 9.0]]), np.ones(1), np.array([2])
    found = scoring.match_image(*hit, [box])
    assert scoring.average_precision([found]) == 100
    assert scoring.average_precision([found, missed]) == pytest.approx(
        100 * 51 / 101
    )
