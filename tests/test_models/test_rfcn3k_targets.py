"""The training operator of R-FCN-3000: RoIs, labels, targets."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from rfcn3k_case import (
    CONFIG,
    LAST_PIXEL,
    cases_of,
    load,
)
from tiny import ROOT

from sniper_mmdet.models.task_modules.released_targets import (
    assign_targets,
    box_targets,
    fill_slots,
    keep_proposals,
    overlaps,
)
from sniper_mmdet.registry import MODELS
from sniper_mmdet.released.reordering import object_first

pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture(scope='module')
def heads():
    """RPN and RoI head of the config, which needs no backbone here."""
    model = Config.fromfile(ROOT / CONFIG.format('7e')).model
    rpn = dict(
        model.rpn_head,
        train_cfg=model.train_cfg.rpn,
        test_cfg=model.test_cfg.rpn,
        in_channels=8,
        feat_channels=8,
    )
    roi = dict(model.roi_head, train_cfg=model.train_cfg.rcnn)
    roi['bbox_head'] = dict(
        model.roi_head.bbox_head, in_channels=8, feat_channels=8
    )
    return SimpleNamespace(
        rpn=MODELS.build(rpn),
        roi=MODELS.build(roi),
        proposal_cfg=model.train_cfg.rpn_proposal,
    )


def samples_of(case):
    samples = []
    for info, gts, low_high in zip(
        case['im_info'], case['gt_boxes'], case['valid_ranges'], strict=True
    ):
        gts = gts[gts[:, 4] >= 0]
        shape = tuple(info[:2].astype(int).tolist())
        sample = DetDataSample(
            metainfo=dict(img_shape=shape, chip_range=tuple(low_high))
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.from_numpy(gts[:, :4] + LAST_PIXEL),
            labels=torch.from_numpy(gts[:, 4]).long(),
        )
        samples.append(sample)
    return samples


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_rois_labels_and_targets(rfcn3k_folder, heads, monkeypatch):
    """What the original's operator gave, through RPN and RoI head."""
    monkeypatch.setattr(heads.roi, 'class_shift', True)
    cases = cases_of(load(rfcn3k_folder, 'targets'))
    assert cases
    for case in cases:
        check(case, heads, monkeypatch)


def check(case, heads, monkeypatch):
    base = heads.rpn.prior_generator.base_anchors[0].numpy() - LAST_PIXEL
    assert (base == case['out.anchors']).all()
    deltas = case['bbox_pred'] * np.float32(case['bbox_pred_factor'])
    n, _, height, width = deltas.shape
    probs = case['cls_prob'].reshape(n, -1, height, width)
    # Logits whose softmax they are.
    logits = object_first(np.log(probs).swapaxes(0, 1)).swapaxes(0, 1)
    samples = samples_of(case)
    found = heads.rpn.predict_by_feat(
        [torch.from_numpy(logits.copy())],
        [torch.from_numpy(deltas)],
        batch_img_metas=[sample.metainfo for sample in samples],
        cfg=heads.proposal_cfg,
    )
    for name, rows in (('num_rois', 'rois'), ('num_pos', 'pos_rois')):
        number = len(case[f'out.{rows}']) // n
        monkeypatch.setitem(heads.roi.train_cfg, name, number)
    ours = heads.roi.targets(found, samples)
    same(ours.rois - ours.rois.new_tensor([0, *LAST_PIXEL]), case['out.rois'])
    assert (ours.labels == case['out.label'][:, 0]).all()
    same(ours.bbox_targets, case['out.bbox_target'])
    assert (ours.bbox_weights == case['out.bbox_weight']).all()
    used = len(ours.pos_rois)
    rois = ours.pos_rois - ours.pos_rois.new_tensor([0, *LAST_PIXEL])
    same(rois, case['out.pos_rois'][:used])
    assert (ours.pos_labels == case['out.pos_label'][:used, 0]).all()
    assert (case['out.pos_label'][used:] == -1).all()
    assert (ours.pos_gts == case['out.pos_ids'][:used, 0]).all()


BOX = np.float32([[10, 20, 29, 39]])


def test_an_iou_of_equal_boxes_is_above_one():
    """(20 * 20) / (2 * 19 * 19 - 20 * 20), as the operator counts."""
    assert overlaps(BOX, BOX).item() == pytest.approx(400 / 322)
    assert overlaps(BOX, BOX + 50).item() == 0


def test_targets_aim_half_a_pixel_further():
    np.testing.assert_allclose(
        box_targets(BOX, BOX), [[5 / 20, 5 / 20, 0, 0]], atol=1e-6
    )


def test_what_is_proposed():
    boxes = np.float32(
        [
            [0, 0, 100, 100],
            [1, 0, 100, 100],  # the same
            [200, 0, 201, 1],  # short on both sides
            [200, 0, 201, 60],  # on one
            [0, 200, 300, 500],  # out of range
            [300, 300, 340, 340],
        ]
    )
    scores = np.float32([0.5, 0.4, 0.9, 0.2, 0.9, 0.7])
    kept = keep_proposals(boxes, scores, (5, 250))
    assert kept.tolist() == [5, 0, 3]
    assert keep_proposals(boxes, scores, (5, 250), num=2).tolist() == [5, 0]
    assert keep_proposals(boxes, scores, (5, 250), num_pre=1).tolist() == [5]
    assert keep_proposals(boxes, scores, (900, 950)).tolist() == []
    # The lower end counts, the upper one does not.
    assert keep_proposals(boxes[5:], scores[5:], (40, 41)).tolist() == [0]
    assert keep_proposals(boxes[5:], scores[5:], (39, 40)).tolist() == []


def test_slots_are_filled_and_boxes_come_last():
    gts = np.float32([[0, 0, 50, 50], [0, 0, 300, 300], [9, 9, 60, 60]])
    rois = fill_slots(BOX, gts, (10, 100), num=103)
    assert (rois[0] == BOX[0]).all()
    assert rois[1].tolist() == [1, 1, 201, 201]
    # A box that is out of range leaves its slot as it is.
    assert (rois[102] == gts[0]).all() and (rois[100] == gts[2]).all()
    assert rois[101].tolist() == [1, 1, 201, 201]
    assert len(fill_slots(np.repeat(BOX, 9, 0), gts[:0], (0, 9), num=4)) == 4


def test_a_crowded_image_leaves_less_to_later_ones():
    crowd = np.repeat(BOX, 5, 0)
    few = np.concatenate([crowd[:2], crowd[:2] + 100])
    targets = assign_targets(
        [crowd, few],
        [BOX, np.concatenate([BOX + 200, BOX])],
        [np.array([7]), np.array([3, 0])],
        num_pos=3,
    )
    assert targets.labels.tolist() == [1] * 5 + [1, 1, 0, 0]
    assert targets.pos_rois[:, 0].tolist() == [0] * 5 + [1]
    assert targets.pos_labels.tolist() == [7] * 5 + [0]
    assert targets.pos_gts.tolist() == [0] * 5 + [1]
    shifted = assign_targets(
        [few], [BOX], [np.array([0])], num_pos=1, class_shift=True
    )
    assert shifted.pos_labels.tolist() == [-1]


def test_a_chip_without_boxes():
    targets = assign_targets([BOX], [BOX[:0]], [np.zeros(0, int)])
    assert targets.labels.tolist() == [0] and not targets.bbox_weights.any()
    assert len(targets.pos_rois) == len(targets.pos_labels) == 0
