"""Annotations from elsewhere give COCO's numbers, or say what they lack."""

import json

import pytest
from mmengine.logging import MMLogger
from pycocotools.coco import COCO

from sniper_mmdet.evaluation import (
    average_precision,
    evaluate_boxes,
    false_positives,
)
from sniper_mmdet.evaluation.comparison import compare_detections
from sniper_mmdet.evaluation.ground_truth import (
    number_annotations,
    read_ground_truth,
)

BOXES = [[10, 10, 30, 30], [50, 10, 30, 30], [10, 60, 40, 30]]


def content(ids=(1, 2, 3), **changes):
    return dict(
        images=[dict(id=1, file_name='a.png', width=100, height=100)],
        annotations=[
            dict(id=i, image_id=1, category_id=1, bbox=box, area=900)
            | dict(iscrowd=0)
            for i, box in zip(ids, BOXES, strict=True)
        ],
        categories=[dict(id=1, name='car')],
        **changes,
    )


def perfect():
    return [
        dict(image_id=1, category_id=1, bbox=box, score=0.9) for box in BOXES
    ]


@pytest.fixture
def file(tmp_path):
    def write(coco):
        path = tmp_path / 'truth.json'
        path.write_text(json.dumps(coco))
        return str(path)

    return write


@pytest.mark.parametrize(
    'ids',
    [(1, 2, 3), (0, 1, 2), (5, 5, 6), (-1, -2, -3), ('a', 'b', 'c')],
    ids=str,
)
def test_whatever_the_ids_a_perfect_result_is_one(file, tmp_path, ids):
    path, found = file(content(ids)), tmp_path / 'found.json'
    found.write_text(json.dumps(perfect()))
    row = compare_detections(path, [('mine', str(found))], recall=1.0)['mine']
    assert row['AP'] == [pytest.approx(100), 0]
    assert row['FP'] == [0, 0]
    # As a program calls it.
    truth = COCO()
    truth.dataset = content(ids)
    truth.createIndex()
    evaluation = evaluate_boxes(truth, perfect())
    assert average_precision(evaluation)['AP'] == pytest.approx(100)
    assert false_positives(evaluation, 1.0) == 0


def test_ids_that_do_are_kept():
    truth = COCO()
    truth.dataset = content((7, 3, 900))
    truth.createIndex()
    index = truth.anns
    number_annotations(truth)
    assert truth.anns is index
    assert sorted(index) == [3, 7, 900]


@pytest.mark.parametrize('field', ['area', 'bbox', 'category_id'])
def test_a_field_that_is_missing(file, tmp_path, field):
    coco = content()
    del coco['annotations'][1][field]
    sentence = f'truth.json, image 1: annotation 2 has no {field}'
    with pytest.raises(ValueError, match=sentence):
        compare_detections(file(coco), [('a', str(tmp_path / 'none.json'))])


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('area', None),
        ('area', '900'),
        ('area', float('nan')),
        ('bbox', None),
        ('bbox', [1, 2, 3]),
        ('bbox', [1, 2, 3, '4']),
    ],
)
def test_a_field_that_is_something_else(file, field, value):
    coco = content()
    coco['annotations'][1][field] = value
    sentence = f'truth.json, image 1: the {field} of annotation 2 must be'
    with pytest.raises(ValueError, match=sentence):
        read_ground_truth(file(coco))


def test_without_iscrowd_objects_are_single(file):
    coco = content()
    for annotation in coco['annotations'][:2]:
        del annotation['iscrowd']
    truth = read_ground_truth(file(coco))
    evaluation = evaluate_boxes(truth, perfect())
    assert average_precision(evaluation)['AP'] == pytest.approx(100)


@pytest.mark.parametrize('field', ['image_id', 'category_id'])
def test_annotations_of_other_images_or_categories(
    file, caplog, monkeypatch, field
):
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [caplog.handler])
    coco = content()
    coco['annotations'][1][field] = 77
    read_ground_truth(file(coco))
    sentence = f'1 of 3 annotations do not count, as their {field} is not'
    assert sentence in caplog.text
    for annotation in coco['annotations']:
        annotation[field] = '1'
    sentence = dict(
        image_id=r"annotation 1 names image '1', .* such as \[1\]",
        category_id=r"category_id of annotation 1 .* one of \[1\]. .*'1'",
    )
    with pytest.raises(ValueError, match=sentence[field]):
        read_ground_truth(file(coco))


def test_detections_of_other_categories(file, tmp_path, caplog, monkeypatch):
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [caplog.handler])
    found, path = perfect(), tmp_path / 'found.json'
    for count, detection in enumerate(found, 1):
        detection['category_id'] = 0
        path.write_text(json.dumps(found))
        if count < len(found):
            compare_detections(file(content()), [('a', path)])
            assert f'found.json: {count} of 3 detections do' in caplog.text
            continue
        with pytest.raises(ValueError, match='found.json .*no category_id is'):
            compare_detections(file(content()), [('a', path)])


def test_images_whose_ids_repeat(file):
    coco = content()
    coco['images'].append(dict(coco['images'][0], file_name='b.png'))
    with pytest.raises(ValueError, match='two images of the id 1: a.png and'):
        read_ground_truth(file(coco))


def test_two_images_of_one_id(file):
    """Of joined files: half of the images would be gone."""
    coco = content()
    coco['images'].append(dict(coco['images'][0], file_name='b.png'))
    with pytest.raises(ValueError, match='two images of the id 1: a.png and'):
        read_ground_truth(file(coco))
    coco['images'][1] = coco['images'][0]
    read_ground_truth(file(coco))


@pytest.mark.parametrize('text', ['[]', '{', '{}', '{"annotations": [1]}'])
def test_what_is_no_coco_file(tmp_path, text):
    path = tmp_path / 'truth.json'
    path.write_text(text)
    with pytest.raises(ValueError, match='truth.json is not a COCO json'):
        read_ground_truth(path)
