"""ImageNet-DET's AP on scenes that were counted by hand."""

import json

import numpy as np
import pytest

from sniper_mmdet.evaluation.imagenet_det import (
    det_average_precision,
    evaluate_det,
    least_iou,
    match_det,
    read_mapping,
)


def boxes(*rows):
    return np.array(rows, float).reshape(-1, 4)


def test_small_objects_need_less():
    found = least_iou(boxes((0, 0, 10, 10), (5, 5, 105, 105), (0, 0, 30, 20)))
    assert found == pytest.approx([0.25, 0.5, 0.5])
    # 600 / 1200 is 0.5 just so; a pixel less is less.
    assert least_iou(boxes((0, 0, 30, 19)))[0] < 0.5


def test_a_small_object_is_found_by_a_larger_box():
    small = boxes((10, 10, 20, 20))
    assert match_det(boxes((5, 5, 25, 25)), small).tolist() == [True]
    assert match_det(boxes((4, 5, 25, 25)), small).tolist() == [False]
    large = boxes((0, 0, 100, 100))
    assert match_det(boxes((0, 0, 100, 49)), large).tolist() == [False]
    assert match_det(boxes((0, 0, 100, 50)), large).tolist() == [True]


def test_an_object_is_found_once():
    objects = boxes((0, 0, 50, 50), (100, 0, 150, 50))
    found = boxes((0, 0, 50, 50), (1, 0, 51, 50), (100, 0, 150, 40))
    assert match_det(found, objects).tolist() == [True, False, True]
    # Of two that are overlapped enough, the one overlapped most.
    near = boxes((0, 0, 50, 50), (10, 0, 60, 50))
    both = match_det(boxes((8, 0, 58, 50), (8, 0, 58, 50)), near)
    assert both.tolist() == [True, True]


def test_average_precision():
    """Class 0: right, wrong, right of two objects; class 1: none found."""
    objects = [
        (np.array([0, 1]), boxes((0, 0, 50, 50), (60, 60, 99, 99))),
        (np.array([0]), boxes((0, 0, 50, 50))),
    ]
    detections = [
        (
            np.array([0, 0, -1]),
            boxes((0, 0, 50, 50), (60, 60, 99, 99), (0, 0, 50, 50)),
            np.array([0.9, 0.8, 1.0]),
        ),
        (np.array([0]), boxes((0, 0, 50, 40)), np.array([0.7])),
    ]
    found = det_average_precision(objects, detections, 3)
    # Half of the objects at a precision of 1, the other half at 2/3.
    assert found[0] == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert found[1] == 0 and np.isnan(found[2])


@pytest.fixture
def files(tmp_path):
    """One image with a dog; a poodle is found, and a lamp of high score."""
    ann = dict(
        images=[dict(id=7, file_name='a/x.jpg')],
        categories=[dict(id=3, name='dog'), dict(id=5, name='cat')],
        annotations=[dict(image_id=7, category_id=3, bbox=[10, 10, 40, 40])],
    )
    seen = dict(
        images=[dict(id=1, file_name='/data/a/x.jpg')],
        categories=[
            dict(id=k, name=name)
            for k, name in enumerate(('lamp', 'poodle', 'beagle'), 1)
        ],
    )
    results = [
        dict(image_id=1, category_id=1, bbox=[10, 10, 40, 40], score=0.9),
        dict(image_id=1, category_id=3, bbox=[90, 90, 40, 40], score=0.8),
        dict(image_id=1, category_id=2, bbox=[10, 10, 40, 40], score=0.7),
    ]
    mapping = dict(poodle='dog', beagle='dog', lamp=None)
    for name, content in dict(
        ann=ann, found=results, mapping=mapping, **{'found.images': seen}
    ).items():
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    return tuple(
        tmp_path / f'{name}.json' for name in ('ann', 'found', 'mapping')
    )


def test_fine_classes_are_mapped(files):
    """The beagle is a wrong dog, better than the right one; lamps are none."""
    found = evaluate_det(*files)
    assert found == pytest.approx(dict(mAP=50, dog=50))
    files[2].write_text(json.dumps(dict(poodle='dog')))
    assert evaluate_det(*files)['dog'] == 100


def test_wrong_files(files):
    names, kinds = ['lamp'], ['dog']
    for content, message in (
        ({'lamb': 'dog'}, "the detector has no class 'lamb'"),
        ({'lamp': 'hound'}, "the annotations have no class 'hound'"),
        ({'lamp': None}, 'maps no class'),
        ([], 'must be a json file {class: evaluation class}'),
    ):
        files[2].write_text(json.dumps(content))
        with pytest.raises(ValueError, match=message):
            read_mapping(files[2], names, kinds)
    files[2].write_text(json.dumps(dict(poodle='dog')))
    ann = json.loads(files[0].read_text())
    ann['images'].append(dict(id=8, file_name='y.jpg'))
    files[0].write_text(json.dumps(ann))
    with pytest.raises(ValueError, match='1 of them: y.jpg is missing'):
        evaluate_det(*files)
