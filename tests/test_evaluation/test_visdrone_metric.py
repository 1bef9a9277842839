"""VisDrone's protocol, of scenes counted by hand and by its plain rules."""

import json

import numpy as np
import pytest
import torch

from sniper_mmdet.evaluation import VisDroneMetric
from sniper_mmdet.evaluation.visdrone_metric import ignored_share
from sniper_mmdet.registry import METRICS

CLASSES = ('pedestrian', 'people', 'bicycle')
BOX = (10, 10, 20, 20)


def thing(box, category=1, image=1, **more):
    return dict(
        image_id=image, category_id=category, bbox=list(box), iscrowd=0, **more
    )


def region(box, image=1, kind=0):
    return dict(thing(box, 1, image), iscrowd=1, visdrone_category=kind)


def found(box, score, category=1):
    return box, score, category


@pytest.fixture
def evaluate(tmp_path):
    """Results of annotations and of the detections of each image."""

    def run(annotations, *images, size=(200, 100), **settings):
        path = tmp_path / 'ann.json'
        numbers = range(1, len(images) + 1)
        path.write_text(
            json.dumps(
                dict(
                    images=[
                        dict(id=i, width=size[0], height=size[1])
                        for i in numbers
                    ],
                    annotations=[
                        dict(a, id=k, area=a['bbox'][2] * a['bbox'][3])
                        for k, a in enumerate(annotations, start=1)
                    ],
                    categories=[
                        dict(id=k, name=name)
                        for k, name in enumerate(CLASSES, start=1)
                    ],
                )
            )
        )
        config = dict(
            type='sniper_mmdet.VisDroneMetric', ann_file=str(path), **settings
        )
        metric = METRICS.build(config)
        metric.dataset_meta = dict(classes=CLASSES)
        for number, detections in zip(numbers, images, strict=True):
            metric.process({}, [sample(number, detections)])
        result = metric.evaluate(len(images))
        return {k.removeprefix('visdrone/'): v for k, v in result.items()}

    return run


def sample(number, detections):
    boxes = [(x, y, x + w, y + h) for (x, y, w, h), _, _ in detections]
    _, scores, categories = (
        zip(*detections, strict=True) if boxes else [()] * 3
    )
    return dict(
        img_id=number,
        pred_instances=dict(
            bboxes=torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4),
            scores=torch.tensor(scores, dtype=torch.float64),
            labels=torch.tensor(categories, dtype=torch.long) - 1,
        ),
    )


def test_everything_found(evaluate):
    result = evaluate([thing(BOX)], [found(BOX, 0.9)])
    assert list(result) == 'AP AP50 AP75 AR1 AR10 AR100 AR500'.split()
    assert set(result.values()) == {100}


def test_precision_over_all_recalls(evaluate):
    boxes = [(x, 10, 20, 20) for x in (10, 50, 90)]
    detections = [
        found(boxes[0], 0.9),
        found((150, 60, 20, 20), 0.8),  # nothing is there
        found(boxes[0], 0.7),  # found already
        found((50, 10, 20, 16), 0.6),  # IoU 0.8: up to that threshold
    ]
    result = evaluate([thing(box) for box in boxes], detections)
    # One third at precision 1, one at 2 of 4, one never.
    assert result['AP50'] == pytest.approx(100 * (1 + 0.5) / 3)
    assert result['AP75'] == pytest.approx(100 * (1 + 0.5) / 3)
    assert result['AP'] == pytest.approx(100 * (1 + 0.7 * 0.5) / 3)
    assert result['AR1'] == pytest.approx(100 / 3)
    assert result['AR500'] == pytest.approx(100 * (1 + 0.7) / 3)


def test_the_best_detections_are_those_of_all_classes(evaluate):
    other = (100, 50, 20, 20)
    annotations = [thing(BOX), thing(other, 2)]
    detections = [found(other, 0.8, 2), found(BOX, 0.9)]
    result = evaluate(annotations, detections)
    # COCO's evaluation would give each class a detection.
    assert result['AR1'] == 50 and result['AR10'] == 100


@pytest.mark.parametrize('count, recall', [(499, 100), (500, 0)])
def test_five_hundred_detections_count(evaluate, count, recall):
    wrong = [found((100, 50, 10, 10), 0.9, 2)] * count
    # Those in a region are no longer among them.
    annotations = [thing(BOX), thing((100, 50, 10, 10), 2)]
    annotations.append(region((150, 0, 50, 100)))
    dropped = [found((160, 20, 10, 10), 1)] * 30
    result = evaluate(
        annotations, [found(BOX, 0.1), *wrong, *dropped], classwise=True
    )
    assert result['AP_pedestrian'] == recall
    assert result['AR500'] == (recall + 100) / 2
    assert result['AR100'] == 50


def test_means_are_over_classes_with_objects(evaluate):
    result = evaluate(
        [thing(BOX)],
        [found(BOX, 0.9), found(BOX, 0.8, 2)],
        classwise=True,
    )
    assert result['AP'] == result['AP_pedestrian'] == 100
    assert np.isnan(result['AP_people'])


def test_a_class_weighs_one_in_however_many_images(evaluate):
    annotations = [thing(BOX), thing(BOX, 1, 2), thing(BOX, 2)]
    result = evaluate(annotations, [found(BOX, 1)], [found(BOX, 1)])
    assert result['AP'] == 50


def test_no_object_and_no_detection(evaluate):
    assert np.isnan(evaluate([], [found(BOX, 0.9)])['AP'])
    assert evaluate([thing(BOX)], [])['AP'] == 0


@pytest.mark.parametrize(
    'x, dropped',
    [(130, False), (148, False), (149, True), (180, True)],
)
def test_half_in_a_region_is_dropped(evaluate, x, dropped):
    # To the toolkit's whole pixels the region is one column wider.
    annotations = [thing(BOX), region((160, 0, 40, 100))]
    wrong = found((x, 30, 20, 20), 0.95)
    result = evaluate(annotations, [found(BOX, 0.9), wrong])
    assert result['AP'] == (100 if dropped else 50)
    # An object there is not missed, one outside is.
    annotations.append(thing((x, 30, 20, 20)))
    assert evaluate(annotations, [found(BOX, 0.9)])['AP'] == (
        100 if dropped else 50
    )


def test_regions_count_for_all_classes_and_together(evaluate):
    # A third in one region, a third in the other.
    annotations = [thing(BOX, 3), region((100, 0, 10, 100))]
    annotations.append(region((120, 0, 10, 100)))
    detections = [found(BOX, 0.5, 3), found((100, 20, 30, 30), 0.9, 3)]
    assert evaluate(annotations, detections)['AP'] == 100
    # The same part of both counts once.
    annotations[2] = region((98, 0, 12, 100))
    assert evaluate(annotations, detections)['AP'] == 50


def test_regions_of_another_image(evaluate):
    annotations = [thing(BOX), region((100, 0, 100, 100), image=2)]
    wrong = found((120, 20, 20, 20), 0.9)
    result = evaluate(annotations, [found(BOX, 0.5), wrong], [wrong])
    assert result['AP'] == 50


def test_other_objects_play_no_part(evaluate):
    annotations = [thing(BOX), region((100, 20, 20, 20), kind=11)]
    detections = [found(BOX, 0.5), found((100, 20, 20, 20), 0.9)]
    assert evaluate(annotations, detections)['AP'] == 50


def test_an_object_of_score_0_is_neither_asked_for_nor_wrong(evaluate):
    annotations = [thing(BOX), dict(thing((100, 20, 20, 20)), iscrowd=1)]
    detections = [found(BOX, 0.5)] + [found((100, 20, 20, 20), 0.9)] * 3
    assert evaluate(annotations, detections)['AP'] == 100
    # Of its own class only; and an object is preferred to it.
    wrong = found((100, 20, 20, 20), 0.9, 2)
    annotations.append(thing(BOX, 2))
    detections = [found(BOX, 0.5), found(BOX, 0.5, 2), wrong]
    assert evaluate(annotations, detections)['AP'] == 75
    annotations = [dict(thing((0, 0, 90, 90)), iscrowd=1), thing(BOX)]
    assert evaluate(annotations, [found(BOX, 0.5)])['AP'] == 100


def test_the_share_by_whole_pixels():
    regions = np.array([[10, 10, 20, 20], [20, 20, 30, 30.0]])
    boxes = np.array(
        [
            [10, 10, 20, 20],
            [5, 10, 10, 10],  # columns 6 to 15; the region's begin at 10
            [4.4, 10.4, 10.4, 9.5],  # taken as 4, 10, 10, 10
            [40, 40, 20, 20],
            [95, 95, 20, 20],
        ]
    )
    share = ignored_share(boxes, regions, (60, 50))
    assert share == pytest.approx([1, 0.6, 0.5, 0.25, 0])


def by_the_rules(scenes, classes, size):
    """AP and recalls, box by box and pixel by pixel, as the toolkit goes."""
    kept = []
    for objects, regions, detections in scenes:
        pixels = np.zeros((size[1] + 1, size[0] + 1), bool)
        for x, y, w, h in regions:
            pixels[max(y, 1) : y + h + 1, max(x, 1) : x + w + 1] = True

        def counts(box, pixels=pixels):
            x, y, w, h = (max(1, int(np.floor(v + 0.5))) for v in box)
            inside = pixels[y + 1 : y + h + 1, x + 1 : x + w + 1].sum()
            return inside / (w * h) < 0.5

        detections = sorted(detections, key=lambda d: -d[1])
        kept.append(
            (
                [o for o in objects if counts(o[0])],
                [d for d in detections if counts(d[0])],
            )
        )
    precision, recall = [], {n: [] for n in (1, 10, 100, 500)}
    for category in classes:
        total = sum(o[1] == category for objects, _ in kept for o in objects)
        if not total:
            continue
        for threshold in np.linspace(0.5, 0.95, 10):
            for number in recall:
                verdicts = []
                for objects, detections in kept:
                    free = [o[0] for o in objects if o[1] == category]
                    for box, score, of_class in detections[:number]:
                        if of_class != category:
                            continue
                        overlaps = [overlap(box, other) for other in free]
                        hit = max(overlaps, default=0) >= threshold
                        if hit:
                            free.pop(int(np.argmax(overlaps)))
                        verdicts.append((score, hit))
                hits = [h for _, h in sorted(verdicts, key=lambda v: -v[0])]
                recall[number].append(sum(hits) / total)
            so_far = np.cumsum(hits) / np.arange(1, len(hits) + 1)
            precision.append(
                sum(max(so_far[k:]) for k, h in enumerate(hits) if h) / total
            )
    return [np.mean(precision), *(np.mean(r) for r in recall.values())]


def overlap(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


@pytest.mark.parametrize('seed', range(6))
def test_the_toolkits_rules_on_random_scenes(evaluate, seed):
    rng = np.random.default_rng(seed)
    size, scenes = (160, 120), []

    def boxes(count, low, high):
        sides = rng.integers(low, high, (count, 2))
        corners = rng.integers(0, np.subtract(size, sides) + 1)
        return np.hstack([corners, sides]).tolist()

    for _ in range(4):
        objects = [(b, int(rng.integers(1, 4))) for b in boxes(12, 8, 40)]
        near = [np.array(b) + rng.normal(0, 2, 4) for b, _ in objects]
        detections = [
            (box, rng.random(), c if rng.random() < 0.8 else 1)
            for box, (_, c) in zip(near, objects, strict=True)
        ]
        detections += [
            (box, rng.random(), int(rng.integers(1, 4)))
            for box in boxes(120, 6, 40)
        ]
        regions = boxes(rng.integers(0, 4), 10, 60)
        scenes.append((objects, regions, detections))
    annotations = []
    for image, (objects, regions, _) in enumerate(scenes, start=1):
        annotations += [thing(box, c, image) for box, c in objects]
        annotations += [region(box, image) for box in regions]
    result = evaluate(annotations, *(s[2] for s in scenes), size=size)
    expected = by_the_rules(scenes, (1, 2, 3), size)
    names = ('AP', 'AR1', 'AR10', 'AR100', 'AR500')
    assert [result[name] for name in names] == pytest.approx(
        [100 * value for value in expected]
    )
    assert 0 < result['AP'] < result['AP50'] < 100


def test_an_image_that_the_file_lacks(evaluate, tmp_path):
    evaluate([thing(BOX)], [])
    metric = VisDroneMetric(str(tmp_path / 'ann.json'))
    with pytest.raises(ValueError, match='ann.json must have all images .* 7'):
        metric.process({}, [sample(7, [])])


@pytest.mark.parametrize('classes', [(*CLASSES, 'boat'), ('boat',), None])
def test_classes_that_the_file_lacks_at_once(evaluate, tmp_path, classes):
    evaluate([thing(BOX)], [])
    metric = VisDroneMetric(str(tmp_path / 'ann.json'))
    with pytest.raises(ValueError, match=r"set, \[.*Received: .'pedestrian'"):
        metric.dataset_meta = dict(classes=classes)


def test_a_file_without_regions_is_told(evaluate, monkeypatch):
    told = []
    monkeypatch.setattr(
        'sniper_mmdet.evaluation.visdrone_metric.print_log',
        lambda message, logger: told.append(message),
    )
    evaluate([thing(BOX), region((100, 0, 50, 50))], [])
    assert not told
    evaluate([thing(BOX)], [])
    assert 'ann.json has no ignored region' in told[0]
