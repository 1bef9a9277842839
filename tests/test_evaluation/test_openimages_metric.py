"""OpenImages' protocol, of scenes counted by hand and by mmdet's metric."""

import numpy as np
import pytest
import torch
from mmdet.evaluation.metrics import openimages_metric
from mmengine.structures import InstanceData

from sniper_mmdet.registry import METRICS

# Dogs and cats are animals; a car is none.
CLASSES = ('animal', 'dog', 'cat', 'car')
RELATED = np.eye(4, dtype=bool)
RELATED[[1, 2], 0] = True
ANIMAL, DOG, CAT, CAR = range(4)
BOX, FAR = (10, 10, 30, 30), (60, 60, 90, 90)


def thing(box, label, group=False, key='is_group_of'):
    return {'bbox': list(box), 'bbox_label': label, key: group}


def found(*detections):
    boxes, scores, labels = zip(*detections, strict=True) or ((),) * 3
    return InstanceData(
        bboxes=torch.tensor(np.array(boxes, np.float32)).reshape(-1, 4),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels),
    )


def image(instances, detections, **more):
    return dict(instances=instances, pred_instances=found(*detections), **more)


def evaluate(*images, **settings):
    metric = METRICS.build(
        dict(type='sniper_mmdet.OpenImagesMetric', classwise=True, **settings)
    )
    metric.dataset_meta = dict(classes=CLASSES, RELATION_MATRIX=RELATED)
    metric.process({}, images)
    result = metric.evaluate(len(images))
    return {k.removeprefix('openimages/'): v for k, v in result.items()}


def test_a_dog_is_an_animal_too():
    result = evaluate(image([thing(BOX, DOG)], [(BOX, 0.9, DOG)]))
    assert result == dict(AP50=1, AP50_animal=1, AP50_dog=1, mAP=1)


def test_a_detector_that_finds_animals_itself():
    both = [(BOX, 0.9, DOG), (BOX, 0.8, ANIMAL), (FAR, 0.7, DOG)]
    images = [image([thing(BOX, DOG), thing(FAR, DOG)], both)]
    images.append(image([thing(BOX, ANIMAL)], [(BOX, 0.1, ANIMAL)]))
    # The first dog is found as an animal twice: once in vain.
    assert evaluate(*images)['AP50_animal'] < 1
    both.append((FAR, 0.6, ANIMAL))
    images[0] = image(images[0]['instances'], both)
    assert evaluate(*images, expand_detections=False)['AP50'] == 1


def test_labels_without_confidences_are_refused():
    sample = image([], [(BOX, 0.5, DOG)], image_level_labels=np.array([DOG]))
    with pytest.raises(ValueError, match='needs "confidences" beside'):
        evaluate(sample)


def test_a_wrong_kind_is_still_an_animal():
    objects = [thing(BOX, DOG), thing(FAR, CAT)]
    result = evaluate(image(objects, [(BOX, 0.9, CAT), (FAR, 0.8, CAT)]))
    assert result['AP50_animal'] == 1
    assert result['AP50_dog'] == 0
    # The first cat is wrong: a precision of 1/2 at a recall of 1.
    assert result['AP50_cat'] == 0.5
    assert result['AP50'] == pytest.approx(0.5)


@pytest.mark.parametrize(
    'verified, precision',
    [
        ({}, 1),  # nobody looked for cars: one that is found is dropped
        ({CAR: False}, 0.5),  # none is there: it is wrong
    ],
)
def test_unknown_classes_are_no_false_positives(verified, precision):
    images = [
        image([thing(BOX, CAR)], [(BOX, 0.5, CAR)], verified_labels={}),
        image([], [(FAR, 0.9, CAR)], verified_labels=verified),
    ]
    assert evaluate(*images)['AP50_car'] == precision


@pytest.mark.parametrize('form', ['ours', 'of mmdet'])
def test_no_animal_means_no_dog(form):
    # mmdet's own metric drops the dog: it does not expand image labels.
    absent = dict(verified_labels={ANIMAL: False})
    if form == 'of mmdet':
        absent = dict(
            image_level_labels=np.array([ANIMAL]), confidences=np.zeros(1)
        )
    images = [
        image([thing(BOX, DOG)], [(BOX, 0.5, DOG)]),
        image([], [(FAR, 0.9, DOG)], **absent),
    ]
    assert evaluate(*images)['AP50_dog'] == 0.5


def test_a_dog_that_is_there_makes_animals_known():
    images = [
        image([thing(BOX, ANIMAL)], [(BOX, 0.5, ANIMAL)]),
        image([], [(FAR, 0.9, ANIMAL)], verified_labels={DOG: True}),
    ]
    assert evaluate(*images)['AP50_animal'] == 0.5
    # Machines' labels say nothing.
    images[1].pop('verified_labels')
    images[1].update(image_level_labels=np.array([DOG]), confidences=[0.7])
    assert evaluate(*images)['AP50_animal'] == 1


@pytest.mark.parametrize('key', ['is_group_of', 'is_group_ofs'])
@pytest.mark.parametrize(
    'weight, precision',
    [
        # Two objects, the car and the group: 0.9 hits the group, 0.8 in it
        # does not count, 0.7 hits the car.
        (1, 1),
        # One object: neither of the group's counts.
        (0, 1),
    ],
)
def test_boxes_in_a_group_count_once(key, weight, precision):
    objects = [
        thing((0, 0, 50, 50), CAR, True, key),
        thing(FAR, CAR, False, key),
    ]
    detections = [(BOX, 0.9, CAR), ((5, 5, 20, 20), 0.8, CAR)]
    detections.append((FAR, 0.7, CAR))
    scene = image(objects, detections)
    result = evaluate(scene, group_of_weight=weight)
    assert result['AP50_car'] == precision
    # As ordinary objects both are wrong: 1/3 at a recall of 1/2.
    result = evaluate(scene, use_group_of=False)
    assert result['AP50_car'] == pytest.approx(1 / 6)


def test_a_missed_group_is_a_missed_object():
    objects = [thing((0, 0, 50, 50), CAR, True), thing(FAR, CAR)]
    scene = image(objects, [(FAR, 0.7, CAR)])
    assert evaluate(scene)['AP50_car'] == 0.5
    assert evaluate(scene, group_of_weight=0)['AP50_car'] == 1


def test_what_is_half_outside_a_group_is_wrong():
    group = thing((0, 0, 50, 50), CAR, True)
    # 19 of 40 columns lie in it.
    scene = image([group, thing(FAR, CAR)], [((31, 0, 71, 9), 0.9, CAR)])
    assert evaluate(scene)['AP50_car'] == 0
    scene = image([group], [((29, 0, 69, 9), 0.9, CAR)])
    assert evaluate(scene)['AP50_car'] == 1


def test_an_object_comes_before_the_group_around_it():
    objects = [thing((0, 0, 50, 50), CAR, True), thing(BOX, CAR)]
    # One hit of the car, and none of the group, which is missed.
    assert evaluate(image(objects, [(BOX, 0.9, CAR)]))['AP50_car'] == 0.5


def random_scene(rng):
    def boxes(n):
        first = rng.uniform(0, 60, (n, 2))
        return np.hstack([first, first + rng.uniform(8, 40, (n, 2))])

    n = rng.integers(0, 5)
    objects = [
        thing(box, int(rng.integers(4)), bool(rng.random() < 0.3))
        for box in boxes(n)
    ]
    near = [one['bbox'] + rng.normal(0, 2, 4) for one in objects]
    near = np.array([*near, *boxes(4)])
    # Scores in hundredths, each once: ties have no order.
    detections = [
        (box, float(rng.random()), int(rng.integers(4))) for box in near
    ]
    return image(objects, detections)


def test_random_scenes_count_as_by_mmdet(monkeypatch):
    rng = np.random.default_rng(3)
    scenes = [random_scene(rng) for _ in range(30)]
    ours = evaluate(*scenes)
    real = openimages_metric.eval_map
    monkeypatch.setattr(
        openimages_metric, 'eval_map', lambda *a, **k: real(*a, nproc=1, **k)
    )
    metric = openimages_metric.OpenImagesMetric()
    metric.dataset_meta = dict(
        classes=CLASSES, RELATION_MATRIX=RELATED, dataset_type='oid_v6'
    )
    metric.process({}, scenes)
    stock = metric.evaluate(len(scenes))
    assert 0.05 < ours['mAP'] < 0.95
    assert ours['mAP'] == pytest.approx(stock['openimages/mAP'], abs=1e-5)


def test_two_thresholds():
    scene = image([thing((0, 0, 10, 10), CAR)], [((0, 0, 10, 6), 0.9, CAR)])
    result = evaluate(scene, iou_thrs=[0.5, 0.75], ioa_thrs=[0.5, 0.5])
    assert (result['AP50'], result['AP75'], result['mAP']) == (1, 0, 0.5)


def test_nothing_was_found():
    scene = dict(
        instances=[thing(BOX, CAR)],
        pred_instances=InstanceData(
            bboxes=torch.zeros(0, 4),
            scores=torch.zeros(0),
            labels=torch.zeros(0, dtype=torch.long),
        ),
    )
    assert evaluate(scene)['AP50'] == 0


@pytest.mark.parametrize(
    'settings, text',
    [
        (dict(scale_ranges=[(0, 32)]), 'without scale_ranges'),
        (dict(group_of_weight=0.5), 'must be 0 or 1. Received: 0.5'),
    ],
)
def test_settings_that_are_refused(settings, text):
    with pytest.raises(ValueError, match=text):
        evaluate(**settings)


def test_a_data_set_without_hierarchy_is_refused():
    metric = METRICS.build(dict(type='sniper_mmdet.OpenImagesMetric'))
    with pytest.raises(ValueError, match='needs a dataset of OpenImages'):
        metric.dataset_meta = dict(classes=CLASSES)
    metric.dataset_meta = dict(classes=CLASSES, RELATION_MATRIX=RELATED)
    with pytest.raises(ValueError, match='among the meta_keys'):
        metric.process({}, [dict(pred_instances=None)])
