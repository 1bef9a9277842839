"""How the released networks are trained, and what they find."""

import pytest
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tiny import ROOT, shrunk

from sniper_mmdet.models import (
    ReleasedFasterRCNN,
    RoundedAnchorGenerator,
    TwoWayMaskHead,
)
from sniper_mmdet.models.roi_heads.released_roi_head import ReleasedRoIHead
from sniper_mmdet.registry import MODELS

pytestmark = pytest.mark.usefixtures('fast_configs')
CONFIG = ROOT / 'configs/sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco.py'


def config(**options):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict({**shrunk(cfg), **options})
    init_default_scope('mmdet')
    return cfg


@pytest.fixture
def detector():
    torch.manual_seed(0)
    built = MODELS.build(config().model)
    built.init_weights()
    return built.detector


def instances(boxes, labels=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.zeros(len(boxes)) if labels is None else labels
    return InstanceData(
        bboxes=boxes, labels=torch.as_tensor(labels, dtype=torch.long)
    )


def chip(boxes, ignored=(), scale=1.0, size=128, **meta):
    sample = DetDataSample(
        metainfo=dict(
            img_shape=(size, size),
            pad_shape=(size, size),
            batch_input_shape=(size, size),
            ori_shape=(round(size / scale), round(size / scale)),
            scale_factor=(scale, scale),
            **meta,
        )
    )
    sample.gt_instances = instances(boxes, range(len(boxes)))
    sample.ignored_instances = instances(ignored, range(10, 10 + len(ignored)))
    return sample


def test_anchors_are_the_originals():
    generator = RoundedAnchorGenerator(
        strides=[16], ratios=[0.5, 1, 2], scales=[1, 2, 24]
    )
    # As published, x2 and y2 one further: they are half-open here.
    expected = [
        [-3.5, 2, 19.5, 14],
        [-15, -4, 31, 20],
        [-268, -136, 284, 152],
        [0, 0, 16, 16],
        [-8, -8, 24, 24],
        [-184, -184, 200, 200],
        [2.5, -3, 13.5, 19],
        [-3, -14, 19, 30],
        [-124, -256, 140, 272],
    ]
    assert generator.base_anchors[0].tolist() == expected
    # As the original's op rounds, 22.5 up.
    (wide, *_) = RoundedAnchorGenerator([32], [0.5], [1]).base_anchors[0]
    assert (wide[2:] - wide[:2]).tolist() == [45, 23]


def test_boxes_are_shortened_for_training_alone(detector, monkeypatch):
    seen = []
    monkeypatch.setattr(
        detector.rpn_head,
        'loss_and_predict',
        lambda x, samples, **_: (seen.extend(samples), ({}, []))[1],
    )
    monkeypatch.setattr(
        detector.roi_head,
        'loss',
        lambda x, found, samples: seen.extend(samples) or {},
    )
    sample = chip([[10, 20, 40, 50]], [[0, 0, 9, 9]], scale=3.0)
    detector.loss(torch.zeros(1, 3, 128, 128), [sample])
    for seen_sample in seen:
        boxes = seen_sample.gt_instances.bboxes.tolist()
        assert boxes == [[10, 20, 38, 48]]
        assert seen_sample.ignored_instances.bboxes.tolist() == [[0, 0, 7, 7]]
    assert sample.gt_instances.bboxes.tolist() == [[10, 20, 40, 50]]


def test_what_is_found_is_corrected(detector, monkeypatch):
    """A box of n original pixels, learned s - 1 shorter, is found whole."""
    scale = 3.0
    whole = torch.tensor([10.0, 20, 40, 50])
    learned = whole * scale - torch.tensor([0, 0, scale - 1, scale - 1])
    at_border = torch.tensor([300.0, 300, 384, 384])

    def predict(self, inputs, samples, rescale=True):
        boxes = torch.stack([learned, at_border]) / (scale if rescale else 1)
        samples[0].pred_instances = InstanceData(bboxes=boxes)
        return samples

    monkeypatch.setattr(ReleasedFasterRCNN.__base__, 'predict', predict)
    sample = chip([], scale=scale, size=384)
    (found,) = detector.predict(torch.zeros(1, 3, 384, 384), [sample])
    boxes = found.pred_instances.bboxes
    torch.testing.assert_close(boxes[0], whole)
    assert boxes[1].tolist() == [100, 100, 128, 128]
    (found,) = detector.predict(torch.zeros(1), [sample], rescale=False)
    torch.testing.assert_close(found.pred_instances.bboxes[0], learned)


@pytest.mark.parametrize('low, high', [(20, 40), (0, float('inf'))])
def test_proposals_are_of_the_chips_range(detector, low, high):
    detector.train()
    sample = chip([[8, 8, 40, 40]], chip_range=(low, high))
    features = detector.extract_feat(torch.randn(1, 3, 128, 128) * 50)
    _, (found,) = detector.rpn_head.loss_and_predict(
        features, [sample], proposal_cfg=detector.train_cfg.rpn_proposal
    )
    boxes = found.bboxes
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt()
    assert len(boxes)
    # To rounding of decoded boxes.
    assert (sizes >= low - 1e-3).all() and (sizes <= high + 1e-3).all()
    if high == float('inf'):
        assert (sizes < 20).any() or (sizes > 40).any()


def test_worst_are_left_out_before_nms(detector):
    cfg = detector.train_cfg.rpn_proposal
    cfg.update(max_nms=5, nms=dict(type='nms', iou_threshold=1.0))
    features = detector.extract_feat(torch.randn(1, 3, 128, 128) * 50)
    meta = chip([]).metainfo
    few = detector.rpn_head.predict_by_feat(
        *detector.rpn_head(features), batch_img_metas=[meta], cfg=cfg
    )[0]
    cfg.max_nms = 10**6
    all_of_them = detector.rpn_head.predict_by_feat(
        *detector.rpn_head(features), batch_img_metas=[meta], cfg=cfg
    )[0]
    assert len(few) == 5
    torch.testing.assert_close(few.scores, all_of_them.scores[:5])


def test_where_nothing_is_in_range_the_best_are_proposed(detector):
    features = detector.extract_feat(torch.randn(1, 3, 128, 128) * 50)
    found = detector.rpn_head.predict_by_feat(
        *detector.rpn_head(features),
        batch_img_metas=[chip([], chip_range=(1000, 2000)).metainfo],
        cfg=detector.train_cfg.rpn_proposal,
    )[0]
    assert len(found)


def test_the_least_proposal_is_of_level_pixels(detector):
    features = detector.extract_feat(torch.randn(1, 3, 128, 128) * 50)
    cfg = detector.test_cfg.rpn
    cfg.update(max_per_img=10**6, min_bbox_size=30)
    meta = chip([], scale=4.0).metainfo
    found = detector.rpn_head.predict_by_feat(
        *detector.rpn_head(features),
        batch_img_metas=[meta],
        cfg=cfg,
        rescale=True,
    )[0]
    sides = (found.bboxes[:, 2:] - found.bboxes[:, :2]).amin(1) * 4
    assert 30 < sides.min() < 100


def rois_of(detector, monkeypatch, sample, proposals):
    """What the second stage learns from: boxes, and labels of each."""
    seen = {}

    def bbox_loss(self, x, results):
        (result,) = results
        priors = torch.cat([result.pos_priors, result.neg_priors])
        labels = [
            *result.pos_gt_labels.tolist(),
            *['background'] * len(result.neg_priors),
        ]
        seen.update(zip(map(tuple, priors.tolist()), labels, strict=True))
        return dict(loss_bbox={})

    monkeypatch.setattr(ReleasedRoIHead, 'bbox_loss', bbox_loss)
    found = InstanceData(bboxes=torch.tensor(proposals))
    features = detector.extract_feat(torch.zeros(1, 3, 128, 128))
    detector.roi_head.loss(features, [found], [sample])
    return seen


def test_all_rois_learn_and_ignored_boxes_label_them(detector, monkeypatch):
    sample = chip([[0, 0, 30, 30]], [[40, 40, 120, 120]], chip_range=(20, 40))
    seen = rois_of(
        detector,
        monkeypatch,
        sample,
        [
            # On the ignored box; on the box; on nothing, three times.
            [40.0, 40, 120, 110],
            [0.0, 0, 30, 28],
            [60.0, 0, 90, 30],
            [90.0, 0, 120, 30],
            [0.0, 90, 30, 120],
        ],
    )
    assert seen == {
        (40, 40, 120, 110): 10,
        (0, 0, 30, 28): 0,
        (60, 0, 90, 30): 'background',
        (90, 0, 120, 30): 'background',
        (0, 90, 30, 120): 'background',
        # The box that is in range.
        (0, 0, 30, 30): 0,
    }


def test_boxes_take_the_place_of_the_worst_proposals(detector, monkeypatch):
    detector.roi_head.num_rois = 3
    sample = chip([[0, 0, 30, 30], [50, 50, 80, 80]])
    seen = rois_of(
        detector,
        monkeypatch,
        sample,
        [[0.0, 0, 9, 9], [9.0, 9, 20, 20], [90.0, 9, 99, 20]],
    )
    assert seen == {
        (0, 0, 9, 9): 'background',
        (0, 0, 30, 30): 0,
        (50, 50, 80, 80): 1,
    }


def test_boxes_annotated_as_ignored_label_nothing(detector, monkeypatch):
    sample = chip([], [[40, 40, 120, 120]])
    sample.ignored_instances.labels[:] = -1
    proposals = [[40.0, 40, 120, 110], [50.0, 50, 70, 70], [0.0, 0, 30, 28]]
    seen = rois_of(detector, monkeypatch, sample, proposals)
    # What lies in it is no background either.
    assert seen == {(0, 0, 30, 28): 'background'}


def test_an_object_in_an_ignored_region_is_learned(detector, monkeypatch):
    sample = chip([[50, 50, 80, 80]], [[40, 40, 120, 120]])
    sample.ignored_instances.labels[:] = -1
    proposals = [[50.0, 50, 80, 78], [90.0, 90, 119, 119]]
    seen = rois_of(detector, monkeypatch, sample, proposals)
    assert seen == {(50, 50, 80, 78): 0, (50, 50, 80, 80): 0}


def test_a_loss_that_is_not_finite_is_no_crash(detector):
    with torch.no_grad():
        detector.backbone.stage4[2].conv3.weight.fill_(float('nan'))
    sample = chip([[10, 10, 60, 60]], chip_range=(20, 80))
    losses = detector.loss(torch.randn(1, 3, 128, 128), [sample])
    assert losses['loss_cls'].isnan()


def test_a_chip_without_boxes_is_background(detector, monkeypatch):
    sample = chip([], chip_range=(20, 40))
    seen = rois_of(detector, monkeypatch, sample, [[0.0, 0, 30, 30]])
    assert seen == {(0, 0, 30, 30): 'background'}


def test_the_losses_are_weighted_as_released(detector):
    """Against the sums of a batch of two chips, written out."""
    rpn, head = detector.rpn_head, detector.roi_head.bbox_head
    off = torch.full((4, 4), 3.0)
    # Of smooth L1 with beta 1: 2.5 each.
    found = rpn.loss_bbox(off, torch.zeros(4, 4), avg_factor=2 * 256)
    assert found.item() == pytest.approx(3 / (2 * 256) * 16 * 2.5)
    found = head.loss_bbox(off, torch.zeros(4, 4), avg_factor=2 * 300)
    assert found.item() == pytest.approx(1 / (2 * 188) * 16 * 2.5)


def test_masks_are_the_difference_of_two_maps():
    torch.manual_seed(0)
    head = TwoWayMaskHead(
        num_convs=1, in_channels=4, conv_out_channels=4, num_classes=3
    )
    head.init_weights()
    x = torch.randn(2, 4, 5, 5)
    raw = FCNMaskHead.forward(head, x)
    assert raw.shape == (2, 6, 10, 10) and head.upsample.bias is None
    both = torch.stack([raw[:, :3], raw[:, 3:]]).softmax(0)[1]
    torch.testing.assert_close(head(x).sigmoid(), both)


def test_offsets_learn_slowly_and_shifts_do_not_decay():
    cfg = config()
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {id(p): name for name, p in model.named_parameters()}
    settings = {
        names[id(group['params'][0])].removeprefix('detector.'): (
            group['lr'] / cfg.optim_wrapper.optimizer.lr,
            group['weight_decay'],
        )
        for group in wrapper.optimizer.param_groups
    }
    roi = 'roi_head.bbox_roi_extractor.offset'
    assert settings[f'{roi}.weight'] == pytest.approx((0.01, 1e-4))
    assert settings[f'{roi}.bias'] == pytest.approx((0.01, 0))
    assert settings['backbone.stage4.0.offset.weight'][0] == 1
    assert settings['backbone.stage3.0.bn1.weight'] == (1, 1e-4)
    assert settings['backbone.stage3.0.bn1.bias'] == (1, 0)


def test_mmdet_finds_the_parts_by_their_scope():
    for kind in ('ReleasedFasterRCNN', 'ReleasedRPNHead', 'ReleasedRoIHead'):
        assert MMDET_MODELS.get(f'sniper_mmdet.{kind}').__name__ == kind
