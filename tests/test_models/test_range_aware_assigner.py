"""Which candidates an ignored box keeps from training, by hand."""

import pytest
import torch
from mmdet.models.task_modules import MaxIoUAssigner
from mmengine.structures import InstanceData

from sniper_mmdet.registry import TASK_UTILS

OBJECT = (0, 0, 10, 10)
CROWD = (100, 0, 200, 100)


def assign(
    priors, boxes=(OBJECT,), ignored=(CROWD,), thr=0.5, labels=None, **kwargs
):
    """Indices and labels of priors; objects have the labels 5, 6, ..."""
    settings = dict(pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0.3)
    settings.update(kwargs)
    assigner = TASK_UTILS.build(
        dict(
            type='sniper_mmdet.RangeAwareAssigner',
            ignore_iou_thr=thr,
            **settings,
        )
    )
    if ignored is not None:
        ignored = InstanceData(
            bboxes=torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4)
        )
        if labels is not None:
            ignored.labels = torch.tensor(labels)
    result = assigner.assign(
        InstanceData(
            priors=torch.tensor(priors, dtype=torch.float32).reshape(-1, 4)
        ),
        InstanceData(
            bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            labels=torch.arange(5, 5 + len(boxes)),
        ),
        ignored,
    )
    return result.gt_inds.tolist(), result.labels.tolist()


def test_what_resembles_an_ignored_box_is_ignored():
    assert assign(
        [
            (0, 0, 10, 10),  # the object itself
            (50, 50, 60, 60),  # background
            (100, 0, 200, 100),  # the ignored box itself
            (100, 0, 200, 60),  # IoU 0.6 with it
            (100, 0, 200, 40),  # IoU 0.4
        ]
    ) == ([1, 0, -1, -1, 0], [5, -1, -1, -1, -1])


def test_an_object_in_front_of_an_ignored_box_is_learned():
    inside = (120, 20, 140, 40)
    found = assign([inside, (150, 50, 170, 70)], boxes=[inside])
    assert found == ([1, 0], [5, -1])
    # The parent ignores whatever lies in an ignored box, background too.
    parent = MaxIoUAssigner(0.5, 0.4, ignore_iof_thr=0.5)
    result = parent.assign(
        InstanceData(priors=torch.tensor([inside]).float()),
        InstanceData(
            bboxes=torch.tensor([inside]).float(), labels=torch.tensor([5])
        ),
        InstanceData(bboxes=torch.tensor([CROWD]).float()),
    )
    assert result.gt_inds.tolist() == [-1]


def test_a_positive_that_resembles_an_ignored_box_is_ignored():
    box, ignored = (0, 0, 10, 10), (0, 0, 10, 8)
    assert assign([box], [box], [ignored]) == ([-1], [-1])


def test_the_threshold_itself_is_not_ignored():
    half = [(100, 0, 200, 50)]
    assert assign(half, thr=0.5)[0] == [0]
    assert assign(half, thr=0.49)[0] == [-1]


def test_default_threshold():
    assigner = TASK_UTILS.build(
        dict(
            type='sniper_mmdet.RangeAwareAssigner',
            pos_iou_thr=0.7,
            neg_iou_thr=0.3,
        )
    )
    assert assigner.ignore_iou_thr == 0.3


def test_any_of_several_ignored_boxes_counts():
    priors = [(100, 0, 200, 100), (0, 100, 50, 150), (50, 50, 60, 60)]
    assert assign(priors, ignored=priors[:2])[0] == [-1, -1, 0]


def test_between_the_thresholds_stays_ignored():
    # IoU 0.45 with the object: neither positive nor negative, as in mmdet.
    assert assign([(0, 0, 10, 10), (0, 0, 10, 4.5)])[0] == [1, -1]


@pytest.mark.parametrize('ignored', [None, ()])
def test_nothing_ignored_is_the_parent(ignored):
    priors = [(0, 0, 10, 10), (100, 0, 200, 100), (0, 0, 10, 6)]
    assert assign(priors, ignored=ignored) == ([1, 0, 1], [5, -1, 5])


def test_no_objects():
    assert assign([CROWD, OBJECT], boxes=()) == ([-1, 0], [-1, -1])


def test_no_priors():
    assert assign([]) == ([], [])
    assert assign([], labels=[-1]) == ([], [])


# In the crowd, seven tenths of it, one half of it, around it, far away.
PLACES = [
    (120, 20, 140, 40),
    (194, 20, 204, 40),
    (195, 20, 205, 40),
    (60, -40, 240, 140),
    (50, 50, 60, 60),
]


@pytest.mark.parametrize(
    ('label', 'expected'),
    [(-1, [-1, -1, 0, 0, 0]), (0, [0] * 5), (7, [0] * 5)],
)
def test_background_in_what_is_annotated_as_ignored(label, expected):
    """A box out of range, which has its label, hides no smaller one."""
    for boxes in ((), [OBJECT]):
        found, labels = assign(PLACES, boxes, labels=[label])
        assert found == expected and set(labels) == {-1}


def test_an_object_in_what_is_annotated_as_ignored_is_learned():
    box = (120, 20, 140, 40)
    priors = [box, (120, 20, 140, 38), (150, 20, 170, 40)]
    assert assign(priors, [box], labels=[-1])[0] == [1, 1, -1]
    # As large as the crowd itself, too, but not as a box out of range.
    assert assign([CROWD], [CROWD], labels=[-1]) == ([1], [5])
    assert assign([CROWD], [CROWD], labels=[3]) == ([-1], [-1])


def test_ignored_boxes_of_both_kinds():
    boxes = [CROWD, (300, 0, 400, 100)]
    priors = [(120, 20, 140, 40), (320, 20, 340, 40), boxes[1], CROWD]
    assert assign(priors, (), boxes, labels=[-1, 4])[0] == [-1, 0, -1, -1]
    assert assign(priors, (), boxes, labels=[4, -1])[0] == [0, -1, -1, -1]
    priors = [boxes[1], CROWD]
    assert assign(priors, priors, boxes, labels=[-1, 4])[0] == [-1, 2]


def test_the_object_of_a_positive_is_the_best():
    boxes = [(0, 0, 10, 10), (0, 0, 10, 12)]
    assert assign([(0, 0, 10, 12), (0, 0, 10, 10)], boxes) == ([2, 1], [6, 5])


def assign_atss(boxes, ignored, label=0):
    """Indices of 3x3 anchors of 40 px, 20 px apart, the first at (0, 0)."""
    assigner = TASK_UTILS.build(
        dict(type='sniper_mmdet.RangeAwareATSSAssigner', topk=3)
    )
    assert assigner.ignore_iou_thr == 0.3
    priors = [(x, y, x + 40, y + 40) for y in (0, 20, 40) for x in (0, 20, 40)]
    result = assigner.assign(
        InstanceData(priors=torch.tensor(priors).float()),
        [len(priors)],
        InstanceData(
            bboxes=torch.tensor(boxes).float().reshape(-1, 4),
            labels=torch.full((len(boxes),), 5),
        ),
        InstanceData(
            bboxes=torch.tensor(ignored).float().reshape(-1, 4),
            labels=torch.full((len(ignored),), label),
        ),
    )
    positive = result.gt_inds > 0
    assert (result.labels == torch.where(positive, 5, -1)).all()
    return result.gt_inds.tolist()


def test_atss_ignores_of_the_background():
    middle, left = (20, 20, 60, 60), (0, 20, 40, 60)
    # Neighbours have an IoU of 1/3, those across a corner one of 1/7.
    assert assign_atss([], [middle]) == [0, -1, 0, -1, -1, -1, 0, -1, 0]
    assert assign_atss([left], []) == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert assign_atss([left], [middle]) == [0, -1, 0, 1, -1, -1, 0, -1, 0]


def test_atss_ignores_background_in_what_is_annotated_as_ignored():
    left, region = (0, 20, 40, 60), (-200, -200, 45, 200)
    assert assign_atss([left], [region]) == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    # All of the first column, 25 of 40 px of the second, 5 of the third.
    found = assign_atss([left], [region], label=-1)
    assert found == [-1, -1, 0, 1, -1, 0, -1, -1, 0]
