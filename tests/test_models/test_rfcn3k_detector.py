"""How R-FCN-3000 pools, learns and finds."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from rfcn3k_case import CONFIG
from tiny import ROOT, shrunk

from sniper_mmdet.models.layers import deform_roi_pool, max_roi_pool
from sniper_mmdet.models.task_modules import ReleasedBoxCoder
from sniper_mmdet.models.task_modules.released_targets import RoITargets
from sniper_mmdet.registry import MODELS

pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture
def detector():
    cfg = Config.fromfile(ROOT / CONFIG.format('7e'))
    options = {'model.roi_head.bbox_head.num_classes': 6}
    cfg.merge_from_dict({**shrunk(cfg), **options})
    init_default_scope('mmdet')
    torch.manual_seed(0)
    built = MODELS.build(cfg.model)
    built.init_weights()
    return built.detector


def chip(boxes, shape=(128, 128), labels=None, **meta):
    sample = DetDataSample(
        metainfo=dict(
            img_shape=shape,
            pad_shape=(128, 128),
            batch_input_shape=(128, 128),
            ori_shape=shape,
            scale_factor=(1.0, 1.0),
            **meta,
        )
    )
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.arange(len(boxes)) if labels is None else labels
    sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
    sample.ignored_instances = sample.gt_instances[:0]
    return sample


def pooled_by_hand(features, roi, size=7):
    """Max RoI pooling as the original's loops have it, in float32."""
    one = np.float32(1)
    corners = [
        int(np.floor(abs(v) / 16 + 0.5) * np.sign(v))
        for v in (roi[1], roi[2], roi[3] - 1, roi[4] - 1)
    ]
    height, width = features.shape[2:]
    sides = [
        np.float32(max(corners[k + 2] - corners[k] + 1, 1)) / np.float32(size)
        for k in range(2)
    ]
    out = np.zeros((features.shape[1], size, size), np.float32)
    for i in range(size):
        for j in range(size):
            start, end = [], []
            for k, n, limit in ((1, i, height), (0, j, width)):
                low = int(np.floor(n * one * sides[k])) + corners[k]
                high = int(np.ceil((n + 1) * one * sides[k])) + corners[k]
                start.append(min(max(low, 0), limit))
                end.append(min(max(high, 0), limit))
            cells = features[
                int(roi[0]), :, start[0] : end[0], start[1] : end[1]
            ]
            if cells.size:
                out[:, i, j] = cells.max((1, 2))
    return out


def test_max_pooling():
    rng = np.random.RandomState(0)
    features = rng.normal(0, 1, (2, 3, 60, 62)).astype(np.float32)
    corners = np.sort(rng.uniform(-50, 1100, (30, 2, 2)), 1).reshape(30, 4)
    rois = np.concatenate([rng.randint(0, 2, (30, 1)), corners], 1)
    further = [
        [0, 0, 0, 57 * 16 - 1, 57 * 16 - 1],  # 57 cells: the last bin has 10
        [1, 8, 24, 41, 57],  # halves
        [0, 40, 40, 41, 41],
        [1, 985, 953, 1040, 1100],  # past the map
        [1, -300, -300, -200, -200],
    ]
    rois = np.concatenate([rois, further]).astype(np.float32)
    found = max_roi_pool(torch.from_numpy(features), torch.from_numpy(rois))
    expected = np.stack([pooled_by_hand(features, roi) for roi in rois])
    np.testing.assert_array_equal(found.numpy(), expected)
    assert (expected[-1] == 0).all() and (expected[-2] == 0).any()
    assert max_roi_pool(torch.zeros(1, 3, 4, 4), torch.zeros(0, 5)).shape == (
        0,
        3,
        7,
        7,
    )


def test_max_pooling_learns_by_the_largest():
    features = torch.randn(1, 2, 8, 8, requires_grad=True)
    rois = torch.tensor([[0.0, 0, 0, 128, 128], [0, 100, 100, 180, 180]])
    max_roi_pool(features, rois, output_size=1).sum().backward()
    chosen = torch.zeros(2, 64)
    chosen[[0, 1], features[0].flatten(1).argmax(1)] += 1
    part = features[0, :, 6:, 6:].flatten(1).argmax(1)
    chosen.view(2, 8, 8)[[0, 1], 6 + part // 2, 6 + part % 2] += 1
    assert (features.grad.flatten(2)[0] == chosen).all()


def test_each_bin_has_its_own_map():
    features = torch.randn(2, 3 * 49, 12, 15)
    rois = torch.tensor([[0, 3.4, 10, 120, 90.5], [1, 150, 7, 400, 140]])
    found = deform_roi_pool(features, rois, groups=7)
    assert found.shape == (2, 3, 7, 7)
    of_all_maps = deform_roi_pool(features, rois)
    for c in range(3):
        for row in range(7):
            for column in range(7):
                channel = (c * 7 + row) * 7 + column
                torch.testing.assert_close(
                    found[:, c, row, column],
                    of_all_maps[:, channel, row, column],
                )
    # Fewer groups than bins: floor(bin * groups / bins).
    coarse = deform_roi_pool(features[:, :12], rois, groups=2)
    torch.testing.assert_close(
        coarse[:, 1, 3, 4],
        deform_roi_pool(features[:, 5:6], rois)[:, 0, 3, 4],
    )


def test_decoding_has_no_limit_and_keeps_a_pixel():
    coder = ReleasedBoxCoder()
    boxes = torch.tensor([[10.0, 10, 30, 20]] * 3)
    deltas = torch.tensor([[0, 0, 5.0, 0], [9, 0, 0, 0], [0.5, -0.1, 0, 0]])
    found = coder.decode(boxes, deltas)
    # To the last pixel, 19 of them from 20.
    assert (found[0, 2] - found[0, 0]).item() == pytest.approx(
        20 * np.exp(5), rel=1e-4
    )
    torch.testing.assert_close(found[2], torch.tensor([20.0, 9, 40, 19]))
    clipped = coder.decode(boxes, deltas, (50, 100))
    assert clipped[1].tolist() == [99, 10, 100, 20]
    assert clipped[0].tolist() == [0, 10, 100, 20]


def test_a_class_is_an_object_times_which(detector):
    head = detector.roi_head.bbox_head
    maps = head(torch.randn(1, 384, 8, 8))
    rois = torch.tensor([[0.0, 0, 0, 60, 60], [0, 30, 20, 120, 100]])
    logits, deltas = head.objects(maps, rois)
    objectness = logits.softmax(1)[:, 1]
    fine = head.classes(maps, rois).softmax(1)
    boxes, scores, labels = head.predict(maps, rois, 0.0, 0.0, (128, 128))
    torch.testing.assert_close(scores.view(2, 6), objectness[:, None] * fine)
    assert labels.tolist() == [*range(6)] * 2
    found = head.bbox_coder.decode(rois[:, 1:], deltas, (128, 128))
    torch.testing.assert_close(boxes[::6], found)
    # A RoI that is no object is given no class.
    between = objectness.mean().item()
    kept, *_ = head.predict(maps, rois, between, 0.0, (128, 128))
    torch.testing.assert_close(kept[0], found[objectness.argmax()])
    assert len(kept) == 6


def found_by(detector, boxes, scores, labels):
    return detector._best(
        InstanceData(
            bboxes=torch.tensor(boxes, dtype=torch.float32),
            scores=torch.tensor(scores),
            labels=torch.tensor(labels),
        )
    )


def test_nms_is_of_each_class_however_many(detector):
    rcnn = detector.test_cfg.rcnn
    rcnn.nms = dict(type='nms', iou_threshold=0.5)
    boxes = [
        [100, 100, 110, 110],
        [100, 100, 110, 110.5],
        [100, 104, 110, 114],
    ]
    found = found_by(detector, boxes * 2, [0.9, 0.8, 0.7] * 2, [3129] * 6)
    assert found.bboxes[:, 1].tolist() == [100, 104]
    found = found_by(detector, boxes, [0.7, 0.8, 0.9], [3129, 3128, 3129])
    assert found.labels.tolist() == [3129, 3128, 3129]


def test_all_that_score_as_the_last_are_kept(detector):
    detector.test_cfg.rcnn.max_per_img = 2
    boxes = [[20.0 * k, 0, 20 * k + 9, 9] for k in range(4)]
    found = found_by(detector, boxes, [0.5, 0.9, 0.5, 0.4], [0, 1, 2, 3])
    assert sorted(found.labels.tolist()) == [0, 1, 2]


def test_padding_counts_where_told(detector):
    head = detector.roi_head
    x = [torch.randn(1, 128, 8, 8), torch.randn(1, 256, 8, 8)]
    samples = [chip([], shape=(60, 100))]
    proposals = [InstanceData(bboxes=torch.tensor([[40.0, 20, 110, 90]]))]
    head.test_cfg.update(objectness_thr=0, score_thr=0)
    own = head.predict(x, proposals, samples)[0].bboxes
    both = torch.cat(x, 1)
    torch.testing.assert_close(
        head.image_features(x, samples), both[:, :, :4, :7].mean((2, 3))
    )
    head.padding_counts = True
    padded = head.predict(x, proposals, samples)[0].bboxes
    assert own[:, 3].amax() <= 60 < padded[:, 3].amax()
    torch.testing.assert_close(
        head.image_features(x, samples), both.mean((2, 3))
    )


def test_random_proposals_fill_up_where_told(detector):
    x = detector.extract_feat(torch.randn(1, 3, 128, 128) * 50)
    cfg = detector.rpn_head.test_cfg
    cfg.max_per_img = 400
    own = detector.rpn_head.predict(x, [chip([])])[0]
    cfg.random_fill = True
    filled = detector.rpn_head.predict(x, [chip([])])[0]
    assert len(own) < len(filled) == 400
    torch.testing.assert_close(filled.bboxes[: len(own)], own.bboxes)
    rest = filled[len(own) :]
    assert (rest.scores == 0).all() and (rest.bboxes[:, :2] < 100).all()
    assert (rest.bboxes[:, 2:] >= 201).all()
    assert (rest.bboxes[:, 2:] <= 400).all()


def test_small_boxes_and_those_beyond_the_hundredth(detector, monkeypatch):
    seen = []
    parent = type(detector).__mro__[1]
    monkeypatch.setattr(
        parent, 'loss', lambda self, x, samples: seen.extend(samples)
    )
    boxes = [[0, 0, 9.5, 50], *([[k, 0, k + 10, 10] for k in range(120)])]
    sample = chip(boxes)
    detector.loss(torch.zeros(1), [sample])
    assert seen[0].gt_instances.labels.tolist() == [*range(1, 101)]
    assert len(sample.gt_instances) == 121


def test_losses_are_sums_by_constants(detector):
    head = detector.roi_head.bbox_head
    maps = head(torch.randn(1, 384, 8, 8))
    rois = torch.tensor([[0.0, 0, 0, 60, 60], [0, 30, 20, 120, 100]] * 2)
    targets = RoITargets(
        rois=rois,
        labels=torch.tensor([1, 0, -1, 1]),
        bbox_targets=torch.ones(4, 4),
        bbox_weights=torch.tensor([1.0, 0, 0, 1])[:, None].expand(4, 4),
        pos_rois=rois,
        pos_labels=torch.tensor([5, -1, 0, -1]),
    )
    losses = head.loss(maps, targets)
    logits, deltas = head.objects(maps, rois)
    objects = -logits.log_softmax(1)[[0, 1, 3], [1, 0, 1]].sum()
    fine = -head.classes(maps, rois).log_softmax(1)[[0, 2], [5, 0]].sum()
    boxes = torch.nn.functional.smooth_l1_loss(
        deltas[[0, 3]], torch.ones(2, 4), reduction='sum'
    )
    torch.testing.assert_close(losses['loss_cls'], objects / 4800)
    torch.testing.assert_close(losses['loss_fine'], fine / 3200)
    torch.testing.assert_close(losses['loss_bbox'], boxes / 3008)


@pytest.mark.parametrize('boxes', [[[10, 10, 70, 70], [40, 50, 90, 120]], []])
def test_all_of_it_learns(detector, boxes):
    detector.train()
    samples = [chip(boxes, chip_range=(0, float('inf')))]
    losses = detector.loss(torch.randn(1, 3, 128, 128) * 50, samples)
    assert set(losses) == {
        *('loss_rpn_cls', 'loss_rpn_bbox'),
        *('loss_cls', 'loss_fine', 'loss_bbox'),
    }
    total = sum(sum(v) if isinstance(v, list) else v for v in losses.values())
    total.backward()
    assert total.isfinite()
    head = detector.roi_head.bbox_head
    assert head.conv_cls.weight.grad.abs().sum() > 0
    assert bool(boxes) == bool(head.conv_fine.weight.grad.abs().sum() > 0)


def test_boxes_of_the_rpn_count_by_full_batches(detector):
    rpn = detector.rpn_head
    scores, deltas = torch.randn(2, 24, 2, 2), torch.randn(2, 48, 2, 2)
    labels = torch.ones(2, 48, dtype=torch.long)
    weights = torch.zeros(2, 48, 4)
    labels[0, :3], weights[0, :3] = 0, 1
    cls, bbox = rpn.loss_by_feat_single(
        scores,
        deltas,
        None,
        labels,
        torch.ones(2, 48),
        torch.zeros(2, 48, 4),
        weights,
        avg_factor=96,
    )
    own = deltas[0].permute(1, 2, 0).reshape(-1, 4)[:3]
    expected = torch.nn.functional.smooth_l1_loss(
        own, torch.zeros(3, 4), reduction='sum'
    )
    torch.testing.assert_close(bbox, 3 * expected / 512)
    pairs = scores.permute(0, 2, 3, 1).reshape(-1, 2)
    expected = torch.nn.functional.cross_entropy(pairs, labels.flatten())
    torch.testing.assert_close(cls, expected)


def test_layers_start_as_released(detector):
    head = detector.roi_head.bbox_head
    for layer in (head.conv, head.fine_conv.conv, head.conv_fine):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.2)
        assert not layer.bias.any()


def test_taught_classes_see_the_maxima_of_all_maps():
    head = MODELS.build(
        dict(
            type='sniper_mmdet.RFCN3kFewShotBBoxHead',
            in_channels=16,
            num_classes=5,
        )
    )
    head.init_weights()
    x = torch.randn(1, 16, 8, 8)
    roi = torch.tensor([[0.0, 0, 0, 128, 128]])
    features = max_roi_pool(x, roi).mean((2, 3))
    found = head.classes(head(x), roi)
    torch.testing.assert_close(found, head.fc(features))
    assert found.shape == (1, 5) and found.std() > 0
    assert not any('fine' in name for name, _ in head.named_parameters())
