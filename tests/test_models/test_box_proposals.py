"""Proposals of detectors with and without an RPN."""

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps
from mmengine.registry import init_default_scope
from tiny import plain_detector

from sniper_mmdet.registry import MODELS


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    torch.manual_seed(0)


def pyramid(name, **changes):
    model = MODELS.build(
        dict(
            type='sniper_mmdet.PyramidDetector',
            detector=plain_detector(name),
            scales=[0.5, 1.0],
            **changes,
        )
    )
    return model.eval()


def images(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (h, w, 3), np.uint8) for w, h in sizes]


@pytest.mark.parametrize('name', ['faster-rcnn', 'mask-rcnn', 'retinanet'])
def test_any_detector_proposes(name):
    model = pyramid(name)
    found = model.propose(images((128, 96), (90, 160)), num=50)
    for boxes, (w, h) in zip(found, [(128, 96), (90, 160)], strict=True):
        assert 20 < len(boxes) <= 100
        assert boxes.bboxes.shape == (len(boxes), 4)
        assert (boxes.labels == 0).all()
        assert (boxes.scores.diff() <= 0).all()
        limit = torch.tensor([w, h, w, h]) + 1e-2
        assert ((boxes.bboxes >= -1e-2) & (boxes.bboxes <= limit)).all()
        overlaps = bbox_overlaps(boxes.bboxes, boxes.bboxes)
        assert overlaps.triu(1).max() <= 0.7 + 1e-4


def test_proposals_are_those_of_the_rpn():
    model = pyramid('faster-rcnn')
    model.pyramid = type(model.pyramid)([1.0])
    model.batch_size = [None]
    inputs = images((128, 96))
    (found,) = model.propose(inputs, num=30, iou_threshold=1.0)
    batch = next(model.level_batches(inputs, 0))
    data = model._preprocess(*batch)
    detector = model.detector
    detector.rpn_head.test_cfg.max_per_img = 30
    (expected,) = detector.rpn_head.predict(
        detector.extract_feat(data['inputs']),
        data['data_samples'],
        rescale=True,
    )
    assert len(found) == 30
    assert torch.allclose(found.scores, expected.scores)
    assert torch.allclose(found.bboxes, expected.bboxes, atol=1e-4)


def test_detections_of_low_scores_count_and_settings_come_back():
    model = pyramid('retinanet')
    model.detector.bbox_head.test_cfg.score_thr = 0.9
    inputs = images((128, 96))
    assert len(model.detect_level(inputs, 1)[0]) == 0
    assert len(model.propose(inputs)[0]) > 0
    assert model.detector.bbox_head.test_cfg.score_thr == 0.9
    assert len(model.detect_level(inputs, 1)[0]) == 0


def test_settings_come_back_after_an_error(monkeypatch):
    model = pyramid('faster-rcnn')
    before = dict(model.detector.rpn_head.test_cfg)

    def fail(*args, **kwargs):
        assert model.detector.rpn_head.test_cfg.max_per_img == 7
        raise RuntimeError('out of memory')

    monkeypatch.setattr(model.detector.rpn_head, 'predict', fail)
    with pytest.raises(RuntimeError, match='out of memory'):
        model.propose(images((64, 64)), num=7)
    assert model.detector.rpn_head.test_cfg == before


def test_nothing_found():
    model = pyramid('retinanet')
    model.detector.bbox_head.test_cfg.score_thr = 0.05
    model.detector.bbox_head.retina_cls.bias.data.fill_(-50)
    (found,) = model.propose(images((64, 64)))
    assert found.bboxes.shape == (0, 4) and len(found.labels) == 0


def test_rpn_only_is_the_rpn():
    model = pyramid('faster-rcnn', rpn_only=True)
    assert type(model.detector).__name__ == 'RPN'
    assert not any('roi_head' in key for key in model.state_dict())
    whole = pyramid('faster-rcnn')
    missing = model.load_state_dict(whole.state_dict(), strict=False)
    assert not missing.missing_keys
    inputs = images((128, 96))
    for ours, theirs in zip(
        model.propose(inputs), whole.propose(inputs), strict=True
    ):
        assert torch.equal(ours.bboxes, theirs.bboxes)
    back = pyramid('faster-rcnn')
    missing = back.load_state_dict(model.state_dict(), strict=False)
    assert all('roi_head' in key for key in missing.missing_keys)


def test_an_rpn_of_mmdet_loads():
    plain = plain_detector('faster-rcnn')
    plain.type = 'RPN'
    plain.pop('roi_head')
    weights = MMDET_MODELS.build(plain).state_dict()
    model = pyramid('faster-rcnn')
    missing = model.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys
    assert torch.equal(
        model.detector.rpn_head.rpn_cls.weight,
        weights['bbox_head.rpn_cls.weight'],
    )


def test_a_one_stage_detector_keeps_its_head():
    model = pyramid('retinanet')
    weights = model.state_dict()
    assert any(key.startswith('bbox_head.') for key in weights)
    model.load_state_dict(weights)


def test_rpn_only_results_are_proposals():
    model = pyramid('faster-rcnn', rpn_only=True)
    (img,) = images((128, 96))
    (sample,) = model.predict(
        [torch.from_numpy(img).permute(2, 0, 1)],
        [DetDataSample(metainfo=dict(ori_shape=(96, 128)))],
    )
    (expected,) = model.propose([img])
    assert torch.equal(sample.pred_instances.bboxes, expected.bboxes)


def test_rpn_only_needs_an_rpn():
    with pytest.raises(ValueError, match='an rpn_head. Received: RetinaNet'):
        pyramid('retinanet', rpn_only=True)
