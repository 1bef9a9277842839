"""NMS by neighbourhood beside the same of all boxes together."""

import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms

from sniper_mmdet.chips.neighbours import overlap_groups
from sniper_mmdet.chips.presets import SOFT_NMS
from sniper_mmdet.models.detectors.near_nms import nms_by_neighbourhood

WAYS = [
    SOFT_NMS,
    dict(SOFT_NMS, class_agnostic=True),
    dict(type='soft_nms', method='linear', iou_threshold=0.3, min_score=0.05),
    dict(type='nms', iou_threshold=0.5),
]


def random_boxes(number, side, seed=0):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, side, (number, 2))
    sides = rng.uniform(5, 60, (number, 2))
    boxes = np.concatenate([corners, corners + sides], 1)
    scores, labels = rng.uniform(0, 1, number), rng.integers(0, 3, number)
    arrays = boxes.astype(np.float32), scores.astype(np.float32), labels
    return [torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize('nms', WAYS)
@pytest.mark.parametrize('side', [100, 600, 3000])
def test_it_is_that_of_all_boxes_together(nms, side):
    given = random_boxes(400, side)
    dets, keep = batched_nms(*given, dict(nms))
    own, kept = nms_by_neighbourhood(*given, nms)
    assert kept.tolist() == keep.tolist()
    assert torch.allclose(own, dets, atol=1e-4)


def test_boxes_that_touch_overlap_where_the_last_pixel_counts():
    boxes = torch.tensor([[0, 0, 1, 1.0], [1, 0, 2, 1], [4, 0, 5, 1]])
    given = boxes, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3).long()
    for offset, expected in ((1, [0, 2]), (0, [0, 1, 2])):
        nms = dict(type='nms', iou_threshold=0.3, offset=offset)
        assert batched_nms(*given, nms)[1].tolist() == expected
        assert nms_by_neighbourhood(*given, nms)[1].tolist() == expected


def test_groups():
    boxes = np.array(
        [[0, 0, 9, 9], [8, 8, 20, 20], [9, 0, 12, 8], [19, 0, 30, 30]], float
    )
    groups = overlap_groups(boxes, np.zeros(4, int))
    assert groups[0] == groups[1] == groups[3] != groups[2]
    assert len(set(overlap_groups(boxes, np.arange(4)).tolist())) == 4
    assert overlap_groups(boxes[:0], np.zeros(0, int)).tolist() == []


def test_boxes_far_from_the_corner_lose_nothing():
    given = random_boxes(50, 60)
    own, kept = nms_by_neighbourhood(*given, SOFT_NMS)
    far = given[0] + 2**16
    others, also_kept = nms_by_neighbourhood(far, *given[1:], SOFT_NMS)
    assert kept.tolist() == also_kept.tolist()
    assert torch.allclose(own[:, 4], others[:, 4], atol=1e-2)
