"""Soft Sampling, verified classes and groups in dense heads."""

import pytest
import torch
from annotated import instances
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import TASK_UTILS, init_default_scope

from sniper_mmdet.models.dense_heads.soft_sampling_heads import boxes_of_points
from sniper_mmdet.models.task_modules import soft_weights

SIDE = 128
META = dict(img_shape=(SIDE, SIDE), pad_shape=(SIDE, SIDE))
ANCHOR = dict(
    retina=('RetinaHead', 'MaxIoUAssigner'),
    rpn=('RPNHead', 'MaxIoUAssigner'),
    atss=('ATSSHead', 'ATSSAssigner'),
    gfl=('GFLHead', 'ATSSAssigner'),
)
CLASSES = 3


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    torch.manual_seed(0)


def build(kind, prefix='', assigner=None, **settings):
    name, own = ANCHOR[kind]
    train = dict(allowed_border=-1, pos_weight=-1, debug=False)
    train['assigner'] = assigner or dict(type=own)
    if kind in ('atss', 'gfl'):
        train['assigner']['topk'] = 9
        square = dict(
            type='AnchorGenerator',
            ratios=[1.0],
            octave_base_scale=8,
            scales_per_octave=1,
            strides=[8, 16],
        )
    else:
        if not assigner:
            train['assigner'].update(
                pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0
            )
        square = dict(
            type='AnchorGenerator', ratios=[1.0], scales=[4], strides=[8, 16]
        )
    if kind == 'rpn':
        train['sampler'] = dict(
            type='RandomSampler',
            num=10**6,
            add_gt_as_proposals=False,
            pos_fraction=0.5,
        )
    else:
        settings['num_classes'] = CLASSES
    if kind == 'gfl':
        settings['loss_cls'] = dict(type='QualityFocalLoss', use_sigmoid=True)
    return MODELS.build(
        dict(
            type=f'{prefix}{name}',
            in_channels=32,
            feat_channels=32,
            anchor_generator=square,
            train_cfg=ConfigDict(train),
            **settings,
        )
    )


def loss_of(head, objects, ignored=None, metas=None):
    """Losses, and the maps that the head's scores are computed from."""
    torch.manual_seed(2)
    maps = [torch.randn(len(objects), head.in_channels, s, s) for s in (16, 8)]
    outs = head(maps)
    scores = [s.detach().requires_grad_() for s in outs[0]]
    metas = metas or [META] * len(objects)
    found = head.loss_by_feat(scores, *outs[1:], objects, metas, ignored)
    found = {
        name: sum(value) if isinstance(value, list) else value
        for name, value in found.items()
    }
    [loss] = [
        v for k, v in found.items() if k.startswith('loss') and 'cls' in k
    ]
    loss.backward()
    return found, [s.grad for s in scores]


#: Those who learn the second are hardly like it.
OBJECTS = [(20, 20, 60, 60), (40, 66, 96, 86)]


@pytest.mark.parametrize('kind', [*ANCHOR])
def test_soft_sampling_of_anchors(kind):
    """The gradient at each anchor is that of the parent, times its weight."""
    plain, soft = build(kind), build(kind, 'sniper_mmdet.SoftSampling')
    soft.load_state_dict(plain.state_dict())
    objects = [instances(OBJECTS), instances([(64, 10, 96, 50)])]
    if kind == 'rpn':
        for one in objects:
            one.labels = torch.zeros_like(one.labels)
    expected, whole = loss_of(plain, objects)
    found, weighted = loss_of(soft, objects)
    assert (
        found['loss_bbox' if kind != 'rpn' else 'loss_rpn_bbox']
        == (expected['loss_bbox' if kind != 'rpn' else 'loss_rpn_bbox'])
    )
    sizes = [(16, 16), (8, 8)]
    levels = plain.prior_generator.grid_priors(sizes, device='cpu')
    calculator = TASK_UTILS.build(dict(type='BboxOverlaps2D'))
    seen = set()
    for index, one in enumerate(objects):
        for anchors, size, full, cut in zip(
            levels, sizes, whole, weighted, strict=True
        ):
            overlaps = calculator(anchors, one.bboxes).amax(1)
            weights = soft_weights(overlaps).view(1, *size)
            full, cut = full[index], cut[index]
            # A place that learns an object, or nothing, is as it was.
            same = torch.isclose(cut, full, rtol=1e-4).all(0)
            less = torch.isclose(cut, full * weights, rtol=1e-4).all(0)
            assert (same | less).all()
            assert (less & ~same).sum() > 0.5 * less.numel()
            seen.add(bool((same & ~less).any()))
    assert seen == {False, True}  # some learn an object


@pytest.mark.parametrize('type_', ['FCOSHead', 'FoveaHead'])
def test_soft_sampling_of_points(type_):
    settings = dict(
        num_classes=CLASSES,
        in_channels=4,
        feat_channels=4,
        strides=[8, 16],
        norm_cfg=None,
    )
    if type_ == 'FCOSHead':
        settings['regress_ranges'] = ((-1, 32), (32, 1e8))
    else:
        settings.update(
            base_edge_list=[16, 32], scale_ranges=((1, 48), (32, 128))
        )
        settings['loss_cls'] = dict(type='FocalLoss', use_sigmoid=True)
    plain = MODELS.build(dict(type=type_, **settings))
    soft = MODELS.build(
        dict(type=f'sniper_mmdet.SoftSampling{type_}', **settings)
    )
    soft.load_state_dict(plain.state_dict())
    objects = [instances(OBJECTS), instances([(64, 10, 96, 50)])]
    expected, whole = loss_of(plain, objects)
    found, weighted = loss_of(soft, objects)
    # What is told is the loss without weights.
    torch.testing.assert_close(found['loss_cls'], expected['loss_cls'])
    points = plain.prior_generator.grid_priors(
        [(16, 16), (8, 8)], device='cpu'
    )
    calculator = TASK_UTILS.build(dict(type='BboxOverlaps2D'))
    kept = 0
    for index, one in enumerate(objects):
        for level, stride in enumerate((8, 16)):
            boxes = boxes_of_points(points[level], stride)
            weights = soft_weights(calculator(boxes, one.bboxes).amax(1))
            full, cut = whole[level][index], weighted[level][index]
            ratio = (cut / full).flatten(1)
            learned = (ratio == 1).all(0) & (weights < 1)
            kept += int(learned.sum())
            others = ratio[:, ~learned]
            torch.testing.assert_close(
                others, weights[~learned].expand_as(others)
            )
    assert kept  # points that learn an object


def test_soft_sampling_of_rtmdet():
    settings = dict(
        num_classes=CLASSES,
        in_channels=4,
        feat_channels=4,
        stacked_convs=1,
        anchor_generator=dict(
            type='MlvlPointGenerator', offset=0, strides=[8, 16]
        ),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0),
        loss_bbox=dict(type='GIoULoss'),
        norm_cfg=dict(type='BN'),
        train_cfg=ConfigDict(
            assigner=dict(type='DynamicSoftLabelAssigner', topk=5),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
    )
    plain = MODELS.build(dict(type='RTMDetHead', **settings))
    soft = MODELS.build(
        dict(type='sniper_mmdet.SoftSamplingRTMDetHead', **settings)
    )
    soft.load_state_dict(plain.state_dict())
    objects = [instances(OBJECTS)]
    _, [whole, _] = loss_of(plain, objects)
    _, [weighted, _] = loss_of(soft, objects)
    # The last point is far from everything.
    assert (weighted / whole)[0, :, -1, 0].tolist() == pytest.approx(
        [0.25] * CLASSES, rel=1e-4
    )


def test_only_verified_classes_are_learned():
    head = build(
        'retina',
        'sniper_mmdet.SoftSampling',
        soft_sampling=None,
        verified_only=True,
    )
    plain = build('retina')
    head.load_state_dict(plain.state_dict())
    objects = [instances(OBJECTS, 1), instances(OBJECTS, 1)]
    metas = [dict(META, verified_labels={2: False}), META]
    _, whole = loss_of(plain, objects)
    _, found = loss_of(head, objects, metas=metas)
    for full, own in zip(whole, found, strict=True):
        assert own[0, 0].eq(0).all()  # nobody looked for it
        # A box, and what is verified to be absent.
        torch.testing.assert_close(own[0, 1:], full[0, 1:])
        torch.testing.assert_close(own[1], full[1])  # nothing is told


def test_all_classes_are_learned_without_labels_of_images():
    settings = dict(soft_sampling=None, verified_only=True)
    head = build('retina', 'sniper_mmdet.SoftSampling', **settings)
    with pytest.warns(UserWarning, match='no image of the batch has verified'):
        loss_of(head, [instances(OBJECTS, 1)])


def test_an_rpn_has_no_classes_to_verify():
    with pytest.raises(ValueError, match='an RPN has no classes to verify'):
        build('rpn', 'sniper_mmdet.SoftSampling', verified_only=True)


def test_a_softmax_cannot_learn_some_classes_only():
    with pytest.raises(ValueError, match='CrossEntropyLoss without sigmoid'):
        build(
            'retina',
            'sniper_mmdet.SoftSampling',
            verified_only=True,
            loss_cls=dict(type='CrossEntropyLoss'),
        )


@pytest.mark.parametrize('kind', ['rpn', 'retina'])
def test_background_in_a_group_is_ignored(kind):
    assigner = dict(
        type='sniper_mmdet.ReleasedSoftAssigner',
        neg_iou_thr=0.4,
        match_low_quality=True,
        min_pos_iou=0,
    )
    head = build(
        kind,
        'sniper_mmdet.SoftSampling',
        assigner=assigner,
        soft_sampling=None,
    )
    group = torch.tensor([(64.0, 0, 128, 128)])
    objects = [instances([(72, 72, 104, 104), (8, 8, 40, 40)])]
    _, [before, _] = loss_of(head, objects)
    _, [after, _] = loss_of(head, objects, [instances(group.tolist(), -1)])
    learned, kept = (one[0].ne(0).any(0).flatten() for one in (before, after))
    [anchors, _] = head.prior_generator.grid_priors(
        [(16, 16), (8, 8)], device='cpu'
    )
    overlaps = TASK_UTILS.build(dict(type='sniper_mmdet.ReleasedOverlaps'))
    inside = overlaps(anchors, group, mode='iof')[:, 0] > 0.9
    like = overlaps(anchors, objects[0].bboxes).amax(1)
    assert not (kept & ~learned).any()
    # The object in the group is learned all the same.
    assert (inside & (like > 0.5)).any()
    expected = learned & ~(inside & (like < 0.4))
    assert kept.eq(expected).all() and kept.sum() < 0.8 * learned.sum()
