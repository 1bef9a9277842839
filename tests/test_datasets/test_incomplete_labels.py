"""Groups, verified labels and scores on their way to a detector."""

import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.registry import init_default_scope

from sniper_mmdet.datasets import ChipDataset, write_proposals

BOXES = [(40, 40, 80, 90), (100, 100, 300, 280)]
SCORED = np.array([(42.0, 40, 80, 90), (200, 100, 260, 160)])


@pytest.fixture
def image(tmp_path):
    init_default_scope('mmdet')
    path = tmp_path / 'images' / 'a.jpg'
    path.parent.mkdir()
    cv2.imwrite(str(path), np.full((300, 400, 3), 128, np.uint8))
    return dict(
        img_path=str(path),
        img_id='a',
        height=300,
        width=400,
        instances=[
            dict(bbox=list(BOXES[0]), bbox_label=2, ignore_flag=0),
            dict(
                bbox=list(BOXES[1]),
                bbox_label=1,
                ignore_flag=0,
                is_group_of=True,
            ),
        ],
    )


def scores(tmp_path, key='a a.jpg'):
    path = str(tmp_path / 'scores.npz')
    others = 'b b.jpg', [np.zeros((0, 4))], [np.zeros(0)]
    write_proposals(
        path,
        [others[0], key],
        np.array([(400, 300), (400, 300)]),
        [*others[1], SCORED],
        [*others[2], np.array([0.9, 0.25])],
        {},
    )
    return path


def run(info, *steps, **pack):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='sniper_mmdet.IgnoreGroupOf'),
        dict(type='LoadAnnotations', with_bbox=True),
        *steps,
        dict(type='sniper_mmdet.PackKnownLabels', **pack),
    ]
    return Compose(pipeline)(info)['data_samples']


@pytest.mark.parametrize('key', ['is_group_of', 'is_group_ofs'])
def test_groups_are_annotated_as_ignored(image, key):
    group = image['instances'][1]
    group[key] = group.pop('is_group_of')
    sample = run(image)
    assert sample.gt_instances.labels.tolist() == [2]
    assert sample.ignored_instances.labels.tolist() == [-1]
    boxes = sample.ignored_instances.bboxes.tensor
    assert boxes.tolist() == [list(BOXES[1])]
    assert group['ignore_flag'] == 0  # the data set's own
    assert not {'verified_labels', 'scored_boxes'} & {*sample.metainfo}


def test_what_people_verified(image):
    image['image_level_labels'] = np.array([2, 0, 5, 7])
    image['confidences'] = np.array([1, 0, 0.7, 1], np.float32)
    found = run(image).metainfo['verified_labels']
    assert found == {2: True, 0: False, 7: True}
    image['verified_labels'] = {1: False}
    image['unseen_classes'] = [3]
    found = run(image).metainfo
    assert found['verified_labels'] == {1: False}
    assert found['unseen_classes'] == [3]


def test_scores_move_with_the_image(image, tmp_path):
    path = scores(tmp_path)
    found = run(image, scores=path).metainfo['scored_boxes']
    expected = np.column_stack([SCORED, [0.9, 0.25]])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # What any transform does to the annotated box, it does to these.
    steps = [
        dict(type='Resize', scale=(800, 600), keep_ratio=True),
        dict(type='RandomFlip', prob=1.0),
    ]
    sample = run(image, *steps, scores=path)
    found = sample.metainfo['scored_boxes']
    box = sample.gt_instances.bboxes.tensor[0].numpy()
    # The first detection is two pixels narrower: now on the right, and four.
    np.testing.assert_allclose(found[0, :4], box - (0, 0, 4, 0), atol=1e-3)
    np.testing.assert_allclose(found[1, :4], (280, 200, 400, 320), atol=1e-3)


def test_scores_of_another_image(image, tmp_path):
    with pytest.raises(ValueError, match='score_unlabelled.py'):
        run(image, scores=scores(tmp_path, 'c c.jpg'))
    with pytest.raises(FileNotFoundError, match='no proposal file'):
        run(image, scores=str(tmp_path / 'none.npz'))


class OneImage:
    metainfo = dict(classes=('a', 'b', 'c'))

    def __init__(self, info):
        self.info = info

    def __len__(self):
        return 1

    def get_data_info(self, index):
        return dict(self.info)


def chips_of(image, tmp_path, **settings):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='sniper_mmdet.CutChip'),
        dict(type='RandomFlip', prob=1.0),
        dict(type='sniper_mmdet.PackKnownLabels', scores=scores(tmp_path)),
    ]
    return ChipDataset(
        OneImage(image),
        scales=[2.0],
        pipeline=pipeline,
        chip_size=128,
        stride=(16, 16),
        **settings,
    )


def test_scores_move_with_a_chip(image, tmp_path):
    image['instances'][1].update(bbox=[30, 30, 300, 280], ignore_flag=1)
    sample = chips_of(image, tmp_path)[0]['data_samples']
    assert sample.gt_instances.labels.tolist() == [2]
    assert sample.ignored_instances.labels.tolist() == [-1]
    # In pixels of the flipped chip, as its boxes are.
    [box] = sample.gt_instances.bboxes.tensor.numpy()
    scored = sample.metainfo['scored_boxes']
    np.testing.assert_allclose(scored[0, :4], box - (0, 0, 4, 0), atol=1e-3)
    assert scored[:, 4].tolist() == pytest.approx([0.9])  # the other is out
    assert 'chip_range' in sample.metainfo
