"""The network of SSH and what it learns, on cases computed by hand."""

import numpy as np
import pytest
import torch
from mmcv.cnn import VGG
from mmdet.models.task_modules import AssignResult
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData
from tiny import ROOT

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.models import PlainVGG, SSHNeck
from sniper_mmdet.registry import MODELS, TASK_UTILS

CONFIG = ROOT / 'configs/ssh/ssh_vgg16_13e_wider-face.py'
SLIM = dict(
    backbone=dict(base_channels=4, init_cfg=None),
    neck=dict(
        in_channels=[32, 32], fused_channels=8, out_channels=[16, 32, 32]
    ),
    bbox_head=dict(in_channels=[16, 32, 32]),
)


def config(**changes):
    return load_config(CONFIG, dict(model=dict(SLIM, **changes))).model


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS.build(config())


@pytest.fixture
def head(model):
    return model.detector.bbox_head


def faces(*boxes):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.zeros(len(boxes), dtype=torch.long)
    return InstanceData(bboxes=boxes, labels=labels)


def test_anchors_are_of_16_to_512_pixels(head):
    """Centres are 8 px into the cell at each stride; a pixel is one wide."""
    sizes = [(2, 3), (1, 2), (1, 1)]
    first, second, third = head.prior_generator.grid_priors(
        sizes, device='cpu'
    )
    assert first[:4].tolist() == [
        [0, 0, 16, 16],
        [-8, -8, 24, 24],
        [8, 0, 24, 16],
        [0, -8, 32, 24],
    ]
    assert first[6].tolist() == [0, 8, 16, 24]
    assert second[[0, 3]].tolist() == [[-24, -24, 40, 40], [-40, -56, 88, 72]]
    assert third.tolist() == [
        [-120, -120, 136, 136],
        [-248, -248, 264, 264],
    ]


def targets(head, found=None, boxes=(), level=0, shape=(64, 64)):
    """Labels 1, 0 and -1 (A, h, w) of a map, and the deltas."""
    stride = (8, 16, 32)[level]
    size = tuple(-(-side // stride) for side in shape)
    anchors = head.prior_generator.single_level_grid_priors(
        size, level, device='cpu'
    )
    if found is None:
        found = torch.zeros(len(anchors))
    labels, weights, deltas, _ = head.targets_of_map(
        anchors,
        torch.ones(len(anchors), dtype=torch.bool),
        found,
        faces(*boxes),
        dict(img_shape=shape),
        None,
        head.train_cfg['allowed_border'][level],
    )
    labels = torch.where(weights > 0, 1 - labels, -1)
    return labels.view(*size, 2).permute(2, 0, 1), deltas.view(*size, 2, 4)


def test_anchors_within_the_image_are_used(head):
    """Those that end exactly at its border too."""
    labels, _ = targets(head)
    small, large = labels == 0
    assert small[:7, :7].all() and small.sum() == 49
    assert large[1:6, 1:6].all() and large.sum() == 25


def test_an_anchor_is_of_a_face_from_an_overlap_of_a_half_on(head):
    """Annotated last pixels count: this face is 16 px wide, 24 px high."""
    labels, deltas = targets(head, boxes=[(16, 16, 31, 39)])
    # 2/3 with two of 16 px; 1/4 with those beside them; 3/8 with six of 32 px.
    small, large = labels
    assert small[2, 2] == small[3, 2] == 1 and (small == 1).sum() == 2
    assert (small == 0).sum() == 49 - 2 and small[1, 2] == small[2, 1] == 0
    assert (large[2:4, 1:4] == -1).all() and (large == 0).sum() == 25 - 6
    expected = torch.tensor([0, 0.25, 0, np.log(1.5)])
    torch.testing.assert_close(deltas[2, 2, 0], expected.float())


def test_no_face_gets_an_anchor_that_overlaps_it_less(head):
    labels, _ = targets(head, boxes=[(20, 20, 27, 27)])
    assert (labels != 1).all() and labels[0, 2, 2] == 0


def test_faces_of_other_sizes_are_background(head):
    labels, _ = targets(head, boxes=[(0, 0, 63, 63)])
    assert (labels[0, :7, :7] == 0).all() and (labels != 1).all()
    labels, _ = targets(head, boxes=[(0, 0, 63, 63)], level=1)
    # No anchor is within; those of 64 px are 8 px beside it.
    assert (labels[0, 1:3, 1:3] == 1).all() and (labels == 1).sum() == 4


def test_where_no_anchor_is_within_all_are_used(head):
    labels, _ = targets(head, level=1, shape=(32, 48))
    assert (labels == 0).all() and labels.shape == (2, 2, 3)


@pytest.mark.parametrize(
    'name, trained',
    [
        ('ssh_vgg16_13e_wider-face', False),
        ('ssh_vgg16_sniper_7e_wider-face', True),
        ('ssh_mobilenetv2_stock-ms_8e_face-mask', True),
        ('ssh_mobilenetv2_sniper_8e_face-mask', True),
        ('ssh_mobilenetv2_autofocus_8e_face-mask', True),
    ],
)
def test_a_false_face_at_the_border_of_a_chip_is_trained(name, trained):
    """Most anchors of 64 and 128 px cross the border of a small chip."""
    cfg = load_config(ROOT / f'configs/ssh/{name}.py').model
    head = MODELS.build(dict(cfg.bbox_head, train_cfg=cfg.train_cfg))
    scores = [torch.zeros(1, 4, side, side) for side in (48, 24, 12)]
    for of_map in scores:
        of_map[0, ::2, 0, 0] = 5  # surely a face
        of_map.requires_grad_()
    deltas = [torch.zeros(1, 8, side, side) for side in (48, 24, 12)]
    shape = dict(img_shape=(384, 384), pad_shape=(384, 384))
    losses = head.loss_by_feat(scores, deltas, [faces()], [shape])
    sum(losses['loss_cls']).backward()
    assert scores[1].grad[0, :, 0, 0].any() == trained


def sampler(**settings):
    return TASK_UTILS.build(
        dict(type='sniper_mmdet.HardAnchorSampler', **settings)
    )


def sample(of, assigned, scores):
    assigned, scores = torch.tensor(assigned), torch.tensor(scores)
    result = AssignResult(1, assigned, scores, (assigned > 0).long() - 1)
    priors = InstanceData(priors=torch.zeros(len(scores), 4))
    found = of.sample(result, priors, faces((0, 0, 1, 1)), scores=scores)
    return found.pos_inds.tolist(), found.neg_inds.tolist()


def test_the_hardest_anchors_are_sampled():
    assigned = [1, 1, 1, 1, 0, 0, 0, 0, 0, -1]
    scores = [0.9, 0.2, 0.5, 0.1, 0.3, 0.8, 0.1, 0.6, 0.2, 0.99]
    assert sample(sampler(num=8), assigned, scores) == (
        [1, 3],
        [4, 5, 6, 7, 8],
    )
    assert sample(sampler(num=4), assigned, scores) == ([3], [4, 5, 7])
    assert sample(sampler(), assigned, scores) == (
        [0, 1, 2, 3],
        [4, 5, 6, 7, 8],
    )
    assert sample(sampler(num=4), [0, 0], [0.2, 0.1]) == ([], [0, 1])


def test_faces_can_be_sampled_at_random():
    torch.manual_seed(0)
    of = sampler(num=4, hard_positives=False)
    found = [
        sample(of, [1] * 9 + [0] * 9, np.arange(18) / 18) for _ in range(30)
    ]
    assert len({positive[0] for positive, _ in found}) > 4
    assert all(others == [15, 16, 17] for _, others in found)


def maps(num, shape):
    sizes = [tuple(-(-side // s) for side in shape) for s in (8, 16, 32)]
    scores = [torch.randn(num, 4, *size) for size in sizes]
    return scores, [torch.randn(num, 8, *size) for size in sizes]


def test_each_image_counts_the_same(head):
    """Whatever has been sampled of it."""
    torch.manual_seed(0)
    scores, deltas = maps(2, (128, 160))
    boxes = [faces((16, 16, 40, 40), (70, 70, 130, 125)), faces()]
    metas = [dict(img_shape=(128, 160), pad_shape=(128, 160))] * 2
    both = head.loss_by_feat(scores, deltas, boxes, metas)
    alone = [
        head.loss_by_feat(
            [x[k : k + 1] for x in scores],
            [x[k : k + 1] for x in deltas],
            boxes[k : k + 1],
            metas[:1],
        )
        for k in range(2)
    ]
    for name, values in both.items():
        for level, value in enumerate(values):
            mean = sum(losses[name][level] for losses in alone) / 2
            torch.testing.assert_close(value, mean)
    assert both['loss_bbox'][0] > 0 and alone[1]['loss_bbox'][0] == 0


def test_losses_by_hand(head):
    """Of three anchors, one is of a face; mean over all that are sampled."""
    scores, deltas = maps(1, (8, 8))
    scores = [torch.zeros_like(x) for x in scores]
    deltas = [torch.zeros_like(x) for x in deltas]
    meta = dict(img_shape=(8, 8), pad_shape=(8, 8))
    # No anchor is within: both are used, of 16 and of 32 px.
    box = faces((1, 0, 16, 15))
    losses = head.loss_by_feat(scores, deltas, [box], [meta])
    assert losses['loss_cls'][0].item() == pytest.approx(np.log(2))
    small = 0.5 * 9 / 16**2 / 2  # sigma 3, over two anchors
    assert losses['loss_bbox'][0].item() == pytest.approx(small)
    assert losses['loss_bbox'][1].item() == 0


def test_boxes_are_clipped_to_the_last_pixel(head):
    anchors = torch.tensor([[0.0, 0, 16, 16], [-8, -8, 24, 24]])
    deltas = torch.tensor([[0, 0, 0, 0], [0, 0, 30.0, 0]])
    boxes = head.bbox_coder.decode(anchors, deltas, max_shape=(20, 12))
    assert boxes.tolist() == [[0, 0, 11, 16], [0, 0, 11, 19]]
    boxes = head.bbox_coder.decode(anchors, deltas)
    assert boxes[0].tolist() == [0, 0, 16, 16]
    assert boxes[1, 2] == pytest.approx(16 * np.exp(30), rel=1e-5)


def test_a_checkpoint_of_mmcv_loads():
    torch.manual_seed(0)
    other = VGG(16, ceil_mode=True, out_indices=(4,))
    other.eval()
    ours = PlainVGG(out_indices=(3, 4))
    ours.load_state_dict(other.state_dict())
    img = torch.randn(1, 3, 37, 50)
    with torch.no_grad():
        fine, coarse = ours(img)
        pooled = other(img)
    assert fine.shape == (1, 512, 5, 7) and coarse.shape == (1, 512, 3, 4)
    torch.testing.assert_close(
        torch.nn.functional.max_pool2d(coarse, 2, ceil_mode=True), pooled
    )


def test_frozen_stages():
    norms = dict(type='BN')
    vgg = PlainVGG(4, frozen_stages=2, norm_cfg=norms).train()
    frozen = [
        name for name, p in vgg.named_parameters() if not p.requires_grad
    ]
    assert {name.split('.')[1] for name in frozen} == {'0', '1'}
    assert len(frozen) == 4 * 3
    assert not vgg.stages[1][0].bn.training and vgg.stages[2][0].bn.training


def test_the_third_map_may_be_the_backbones():
    torch.manual_seed(0)
    neck = SSHNeck([8, 12, 20], 8, [8, 16, 16])
    shapes = [(8, 9, 15), (12, 5, 8), (20, 3, 4)]
    inputs = [torch.randn(2, *shape) for shape in shapes]
    found = [tuple(x.shape[1:]) for x in neck(inputs)]
    assert found == [(8, 9, 15), (16, 5, 8), (16, 3, 4)]
    for channels in ([8], [8] * 4):
        with pytest.raises(ValueError, match='of two maps, or three'):
            SSHNeck(channels)


def test_rates_and_decay_are_as_released(model):
    cfg = Config.fromfile(ROOT / 'configs/_base_/schedules/ssh_13e.py')
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {p: name for name, p in model.named_parameters()}
    seen = set()
    for group in wrapper.optimizer.param_groups:
        (parameter,) = group['params']
        if not parameter.requires_grad:
            continue
        name = names[parameter].removeprefix('detector.')
        bias = name.endswith('bias')
        module = name.startswith(('bbox_head', 'neck.ssh_module'))
        assert group['lr'] == pytest.approx(0.008 if bias else 0.004), name
        decay = 0 if bias and module else 0.0005
        assert group['weight_decay'] == pytest.approx(decay), name
        seen.add(name)
    # 9 of VGG's 13, 3 before the modules, 3 modules of 5, their 6 outputs.
    assert len(seen) == 2 * (9 + 3 + 15 + 6)
    assert 'neck.upsample.weight' not in seen


def test_new_layers_begin_small(model):
    model.init_weights()
    neck, head = model.detector.neck, model.detector.bbox_head
    for part in (neck.fusion.conv, neck.ssh_module2.conv3x3.conv):
        assert part.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert (part.bias == 0).all()
    weight = torch.cat([conv.weight.flatten() for conv in head.reg_convs])
    assert weight.std().item() == pytest.approx(0.01, rel=0.1)
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert (neck.upsample.weight == torch.outer(line, line)).all()


def test_the_loss_falls_on_a_batch_that_is_repeated():
    torch.manual_seed(0)
    model = MODELS.build(
        config(
            **{
                'backbone': dict(
                    SLIM['backbone'], norm_cfg=dict(type='BN'), frozen_stages=0
                )
            }
        )
    ).train()
    boxes = [faces((8, 8, 24, 24), (40, 20, 110, 90)), faces((5, 60, 30, 90))]
    samples = []
    inputs = torch.randn(2, 3, 96, 128)
    for own, img in zip(boxes, inputs, strict=True):
        shape = dict(img_shape=(96, 128), pad_shape=(96, 128))
        sample = DetDataSample(metainfo=shape)
        sample.gt_instances = own
        samples.append(sample)
        for x1, y1, x2, y2 in own.bboxes.int().tolist():
            img[:, y1:y2, x1:x2] += 3
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    totals = []
    for _ in range(30):
        losses = model.loss(inputs, samples)
        total = sum(map(sum, losses.values()))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < totals[0] / 3
