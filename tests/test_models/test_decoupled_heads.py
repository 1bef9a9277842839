"""Heads that tell objects apart from what they are."""

import json

import numpy as np
import pytest
import torch
from mmdet.models.layers import multiclass_nms
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from shrink import shrunk
from tiny import ROOT

from sniper_mmdet.models import DecoupledBBoxHead
from sniper_mmdet.structures import image_level

META = dict(img_shape=(60, 80), scale_factor=(0.5, 0.5))
TEST = ConfigDict(
    score_thr=0.02,
    nms=dict(type='nms', iou_threshold=0.5),
    max_per_img=20,
)
CONFIGS = {
    'fpn': 'faster-rcnn_r50_fpn_decoupled_1x_coco',
    'c4': 'faster-rcnn_r50-caffe_c4_decoupled_1x_coco',
    'cascade': 'cascade-rcnn_r50_fpn_decoupled_1x_coco',
}


def head_of(num_classes=6, **settings):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    head = DecoupledBBoxHead(
        in_channels=4,
        roi_feat_size=2,
        fc_out_channels=8,
        num_classes=num_classes,
        **settings,
    )
    # What spreads scores.
    head.fc_cls.weight.data.normal_(std=2)
    if head.with_fine:
        head.fc_fine.weight.data.normal_(std=2)
    return head


def rois_of(num=40):
    corner = torch.rand(num, 2) * torch.tensor([50.0, 30.0])
    boxes = torch.cat([corner, corner + 5 + 20 * torch.rand(num, 2)], 1)
    return torch.cat([torch.zeros(num, 1), boxes], 1)


def predict(head, x, rois, cfg=TEST, rescale=False):
    with torch.no_grad():
        scores, boxes = head(x)
        (found,) = head.predict_by_feat(
            (rois,), (scores,), (boxes,), [META], cfg, rescale
        )
    return found


def by_hand(head, x, rois, cfg=TEST):
    """All pairs, then mmdet's NMS of all classes."""
    with torch.no_grad():
        for fc in head.shared_fcs:
            x = fc(x.flatten(1)).relu()
        linear = torch.nn.functional.linear
        prob = linear(x, head.fc_cls.weight, head.fc_cls.bias).softmax(1)
        fine = head.fc_fine(x).softmax(1)[:, : head.num_classes]
        deltas = head.fc_reg(x)
        boxes = head.bbox_coder.decode(
            rois[:, 1:], deltas, max_shape=META['img_shape']
        )
    of = head.super_of[: head.num_classes]
    scores = torch.stack(
        [
            (prob[:, g] if g >= 0 else 1 - prob[:, -1]) * fine[:, c]
            for c, g in enumerate(of.tolist())
        ],
        1,
    )
    padded = torch.cat([scores, prob[:, -1:]], 1)
    found, labels = multiclass_nms(
        boxes, padded, cfg.score_thr, cfg.nms, cfg.max_per_img
    )
    return padded, found, labels


@pytest.mark.parametrize(
    'settings',
    [
        {},
        dict(super_classes=[0, 0, 1, 1, 2, -1]),
        dict(hidden_classes=2, super_classes=[0, 1, 0, 1, 0, 1, 0, 1]),
    ],
    ids=['objectness', 'super-classes', 'hidden classes'],
)
@pytest.mark.parametrize('nms', ['nms', 'soft_nms'])
def test_scores_are_products(settings, nms, monkeypatch):
    # The rule that blocks and classes are looked at alone changes nothing.
    module = 'sniper_mmdet.models.roi_heads.decoupled_bbox_head'
    monkeypatch.setattr(f'{module}._BLOCK', 7)
    monkeypatch.setattr(f'{module}._SPLIT', 5)
    head = head_of(**settings)
    x, rois = torch.rand(40, 4, 2, 2), rois_of()
    cfg = ConfigDict(TEST, nms=dict(TEST.nms, type=nms))
    found = predict(head, x, rois, cfg)
    scores, boxes, labels = by_hand(head, x, rois, cfg)
    assert 3 < len(found) == len(boxes)
    order = found.scores.argsort(descending=True, stable=True)
    assert torch.allclose(found.scores[order], boxes[:, 4], atol=1e-6)
    assert torch.allclose(found.bboxes[order], boxes[:, :4], atol=1e-4)
    assert (found.labels[order] == labels).all()
    raw = predict(head, x, rois, None, rescale=True)
    assert torch.allclose(raw.scores, scores, atol=1e-6)
    assert raw.bboxes.max() > 80


def test_only_objects_reach_the_classes(monkeypatch):
    head = head_of()
    x, rois = torch.rand(40, 4, 2, 2), rois_of()
    objectness = 1 - head(x)[0][:, :2].softmax(1)[:, -1]
    seen = []
    run = head.fc_fine.forward
    monkeypatch.setattr(
        head.fc_fine, 'forward', lambda x: seen.append(len(x)) or run(x)
    )
    for least in (0.0, 0.5):
        seen.clear()
        predict(head, x, rois, ConfigDict(TEST, min_objectness=least))
        assert sum(seen) == (objectness > max(least, 0.02)).sum()
    seen.clear()
    nothing = predict(head, x, rois, ConfigDict(TEST, min_objectness=1.0))
    assert not seen and len(nothing) == 0


def test_objects_of_any_class():
    head = head_of(class_agnostic=True)
    x, rois = torch.rand(40, 4, 2, 2), rois_of()
    found = predict(head, x, rois)
    assert (found.labels == 0).all() and len(found) > 1
    objectness = 1 - head(x)[0][:, :2].softmax(1)[:, -1]
    assert found.scores[0] == objectness.max()


def test_pairs_are_bounded():
    head = head_of()
    x, rois = torch.rand(40, 4, 2, 2), rois_of()
    some = predict(head, x, rois, ConfigDict(TEST, nms_pre=3))
    every = predict(head, x, rois)
    assert 0 < len(some) <= 3 < len(every)
    assert some.scores[0] == every.scores[0]


@pytest.mark.parametrize('share', [2 / 3, None])
def test_losses(share):
    """Classes are learnt by positives alone, a sum over all RoIs' share."""
    head = head_of(4, super_classes=[0, 0, 1, 1], fine_share=share)
    x = torch.rand(12, 4, 2, 2)
    labels = torch.tensor([0, 2, 3] + [4] * 9)
    scores, boxes = head(x)
    losses = head.loss(
        scores,
        boxes,
        rois_of(12),
        labels,
        torch.ones(12),
        torch.zeros(12, 4),
        torch.ones(12, 4),
    )
    logits, features = head.split(scores)
    cross = torch.nn.functional.cross_entropy
    groups = torch.tensor([0, 1, 1] + [2] * 9)
    assert torch.allclose(losses['loss_cls'], cross(logits, groups))
    total = cross(head.fc_fine(features[:3]), labels[:3], reduction='sum')
    divisor = 8 if share else 3
    assert torch.allclose(losses['loss_fine'], total / divisor)
    assert losses['loss_bbox'] > 0
    # The means that it follows are those of the positives.
    assert torch.allclose(head.fine_means[2], features[1])
    assert head.fine_counts.tolist() == [1, 0, 1, 1]
    none = head.loss(
        scores,
        boxes,
        rois_of(12),
        torch.full((12,), 4),
        torch.ones(12),
        torch.zeros(12, 4),
        torch.ones(12, 4),
    )
    assert none['loss_fine'] == none['loss_bbox'] == 0 < none['loss_cls']


def test_means_follow_their_classes():
    head = head_of(3)
    rng = torch.Generator().manual_seed(0)
    centres = torch.tensor([[1.0] * 8, [5.0] * 8, [9.0] * 8])
    for _ in range(400):
        labels = torch.randint(0, 2, (16,), generator=rng)
        noise = torch.randn(16, 8, generator=rng)
        head.fine_loss(centres[labels] + noise, labels)
    assert abs(head.fine_means[:2] - centres[:2]).max() < 0.3
    assert abs(head.fine_variance - 1).max() < 0.4
    assert head.fine_counts[2] == 0 and head.fine_means[2].sum() == 0


def detector(name, **options):
    init_default_scope('mmdet')
    path = ROOT / f'configs/decoupled/{CONFIGS[name]}.py'
    cfg = Config.fromfile(path)
    cfg.merge_from_dict({**shrunk(cfg), **options})
    torch.manual_seed(0)
    return MODELS.build(cfg.model)


WIDE = {
    'openimages/faster-rcnn_r50_fpn_32xb2-1x_openimages': 601,
    'objects365/faster-rcnn_r50_fpn_16xb4-1x_objects365v1': 365,
    'lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1': 1203,
}


@pytest.mark.parametrize('name', WIDE)
def test_wide_vocabularies(name):
    """The delta alone decouples MMDetection's configs of many classes."""
    init_default_scope('mmdet')
    cfg = Config.fromstring(
        f"_base_ = ['mmdet::{name}.py', "
        f"'{ROOT}/configs/_base_/models/decoupled.py']\n"
        'model = _base_.decoupled\n',
        '.py',
    )
    head = MODELS.build(cfg.model.roi_head.bbox_head)
    assert isinstance(head, DecoupledBBoxHead)
    assert head.fc_fine.out_features == head.num_classes == WIDE[name]
    assert (head.fc_cls.out_features, head.fc_reg.out_features) == (2, 4)
    rpn = cfg.model.train_cfg.rpn.assigner
    assert rpn.type == 'sniper_mmdet.RangeAwareAssigner'
    assert rpn.pos_iou_thr == 0.7


def batch(model, labelled=()):
    data = demo_mm_inputs(2, [[3, 96, 96], [3, 90, 96]], num_items=[3, 3])
    for k in labelled:
        sample = data['data_samples'][k]
        height, width = sample.img_shape
        whole = torch.tensor([[0.0, 0.0, width, height]])
        sample.gt_instances = sample.gt_instances[:0]
        sample.ignored_instances = InstanceData(
            bboxes=whole, labels=torch.tensor([image_level(7)])
        )
    data = model.data_preprocessor(data, True)
    return data['inputs'], data['data_samples']


@pytest.mark.parametrize('name', CONFIGS)
def test_detectors(name):
    """Any two-stage detector of mmdet trains and detects."""
    model = detector(name)
    losses = model.loss(*batch(model))
    fine = [key for key in losses if key.endswith('loss_fine')]
    assert fine == ['s2.loss_fine' if name == 'cascade' else 'loss_fine']
    sum(
        sum(v) if isinstance(v, list) else v
        for k, v in losses.items()
        if 'loss' in k
    ).backward()
    head = model.roi_head.bbox_head
    head = head[-1] if name == 'cascade' else head
    assert head.fc_fine.weight.grad.abs().sum() > 0
    model.eval()
    with torch.no_grad():
        found = model.predict(*batch(model))
    assert all(len(sample.pred_instances) for sample in found)


def test_a_cascade_has_classes_in_its_last_stage():
    """mmdet averages scores of stages; what says classes is not halved."""
    model = detector('cascade')
    heads = model.roi_head.bbox_head
    assert [head.with_fine for head in heads] == [False, False, True]
    x = torch.rand(5, 32)
    outputs = [head.fc_cls(x) for head in heads]
    logits, features = heads[-1].split(sum(outputs) / 3)
    assert torch.allclose(features, x)
    own = [
        head.split(out)[0] for head, out in zip(heads, outputs, strict=True)
    ]
    assert torch.allclose(logits, sum(own) / 3, atol=1e-6)


@pytest.mark.parametrize('name', ['fpn', 'cascade'])
@pytest.mark.parametrize('rois', ['objects', 'whole'])
def test_image_level_labels_train_classes_alone(name, rois):
    model = detector(name, **{'model.roi_head.image_rois': rois})
    losses = model.loss(*batch(model, [0, 1]))
    parts = {
        key: float(sum(v) if isinstance(v, list) else v)
        for key, v in losses.items()
        if 'loss' in key
    }
    assert parts.pop('loss_image') > 0
    assert all(value == 0 for value in parts.values()), parts
    head = model.roi_head.bbox_head
    head = head[-1] if name == 'cascade' else head
    losses['loss_image'].backward()
    # Seven is what both pictures are of.
    grad = head.fc_fine.weight.grad
    assert grad[7].abs().sum() > grad[8].abs().sum() > 0
    assert not head.fc_cls.weight.grad.any()


def test_a_box_image_learns_as_it_would_alone():
    """A picture without boxes beside it changes no loss of its own."""
    # Samplers that take all make losses comparable.
    options = {
        'model.train_cfg.rpn.sampler.num': 10**6,
        'model.train_cfg.rcnn.sampler.num': 10**6,
    }
    model = detector('fpn', **options).eval()
    inputs, samples = batch(model, [1])
    alone = model.loss(inputs[:1], samples[:1])
    inputs, samples = batch(model, [1])
    both = model.loss(inputs, samples)
    assert both.pop('loss_image') > 0
    assert both.keys() == alone.keys()
    for key in ('loss_cls', 'loss_bbox', 'loss_fine'):
        assert torch.allclose(both[key], alone[key], rtol=1e-3), key
    total = [sum(losses['loss_rpn_cls']) for losses in (both, alone)]
    # Anchors in the padding below the smaller picture are background.
    assert torch.allclose(*total, rtol=0.1)


def test_labels_beyond_the_head():
    model = detector('fpn')
    inputs, samples = batch(model, [0])
    samples[0].ignored_instances.labels[:] = image_level(80)
    with pytest.raises(ValueError, match=r'0 to 79\. Received: \[80\]'):
        model.loss(inputs, samples)


def test_wrong_settings(tmp_path):
    with pytest.raises(ValueError, match='reg_class_agnostic must be True'):
        head_of(reg_class_agnostic=False)
    for wrong in ([0, 0], [0.5] * 6, [-1] * 6, [0, 1, 2, 3, 4, -2]):
        with pytest.raises(ValueError, match='must be 6 whole numbers'):
            head_of(super_classes=wrong)
    path = tmp_path / 'super.json'
    path.write_text(json.dumps(dict(super_classes=[0, 1, 1, 0, 0, 0])))
    assert head_of(super_classes=str(path)).num_super == 2
    path.write_text('[]')
    with pytest.raises(ValueError, match='with a list super_classes'):
        head_of(super_classes=str(path))
    assert np.all(head_of().super_of.numpy() == 0)
