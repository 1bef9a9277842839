"""Boxes that a chip does not train, by detector."""

import ast
import inspect
import math
import textwrap

import pytest
import torch
from mmdet.models import dense_heads
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from zoo import ZOO, delta_of

from sniper_mmdet.registry import MODELS, TASK_UTILS
from sniper_mmdet.sniperize.config import read_plain, sniperize
from sniper_mmdet.sniperize.ignoring import (
    RANGE_AWARE,
    RANGE_AWARE_HEADS,
    range_aware,
    range_aware_heads,
    without_ignoring,
)
from sniper_mmdet.sniperize.probe import without_weights

pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.mark.parametrize(
    ('head', 'assigner', 'change'),
    [
        (
            'ATSSHead',
            "type='ATSSAssigner', topk=9",
            ('sniper_mmdet.RangeAwareATSSAssigner', 0.3, None),
        ),
        (
            'RetinaHead',
            "type='MaxIoUAssigner', pos_iou_thr=0.1, neg_iou_thr=0.1, "
            'ignore_iof_thr=0.5',
            ('sniper_mmdet.RangeAwareAssigner', 0.3, -1),
        ),
        (
            'RetinaHead',
            "type='sniper_mmdet.RangeAwareAssigner', pos_iou_thr=0.5, "
            'neg_iou_thr=0.4',
            ('sniper_mmdet.RangeAwareAssigner', None, None),
        ),
        ('RetinaHead', "type='PointAssigner'", None),
        (
            'RetinaHead',
            "type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.2",
            ('sniper_mmdet.RangeAwareCenterRegionAssigner', None, None),
        ),
        (
            'FreeAnchorRetinaHead',
            "type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4",
            ('sniper_mmdet.RangeAwareAssigner', 0.4, None),
        ),
    ],
)
def test_boxes_are_ignored_where_it_is_told(plain, head, assigner, change):
    cfg, _, notes = plain(
        (
            """            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=(0.1, 0.4))""",
            f'            {assigner})',
        ),
        ("type='RetinaHead'", f"type='{head}'"),
        *(
            [
                ('scales_per_octave=3', 'scales_per_octave=1'),
                (
                    'strides=[32, 64]))',
                    'strides=[32, 64]), loss_centerness=dict('
                    "type='CrossEntropyLoss', use_sigmoid=True))",
                ),
            ]
            if head == 'ATSSHead'
            else []
        ),
    )
    cut = cfg.train_dataloader.dataset.pipeline[2]
    assert cut.get('out_of_range') == (None if change else 'drop')
    assert ('cannot ignore a box' in notes) == (not change)
    if change:
        found = cfg.model.train_cfg.assigner
        keys = ('type', 'ignore_iou_thr', 'ignore_iof_thr')
        assert tuple(map(found.get, keys)) == change
        off = 'ignore_iof_thr=0.5 of MaxIoUAssigner is off' in notes
        assert off == (change[2] == -1)


@pytest.mark.parametrize(
    ('base', 'cannot'),
    [
        ('vfnet/vfnet_r50_fpn_1x_coco.py', []),
        ('yolo/yolov3_d53_8xb8-320-273e_coco.py', []),
        ('ddod/ddod_r50_fpn_1x_coco.py', []),
        ('gfl/gfl_r50_fpn_1x_coco.py', []),
        ('paa/paa_r50_fpn_1x_coco.py', []),
        ('yolact/yolact_r50_1xb8-55e_coco.py', []),
        ('htc/htc_r50_fpn_1x_coco.py', []),
        ('tood/tood_r50_fpn_1x_coco.py', []),
        ('rtmdet/rtmdet_s_8xb32-300e_coco.py', []),
        ('fsaf/fsaf_r50_fpn_1x_coco.py', []),
        ('free_anchor/freeanchor_r50_fpn_1x_coco.py', []),
        ('guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco.py', []),
        ('guided_anchoring/ga-faster-rcnn_r50-caffe_fpn_1x_coco.py', []),
        ('sabl/sabl-retinanet_r50_fpn_1x_coco.py', []),
        ('centernet/centernet-update_r50-caffe_fpn_ms-1x_coco.py', []),
        (
            'centernet/centernet_r18_8xb16-crop512-140e_coco.py',
            ['CenterNetHead'],
        ),
        (
            'cornernet/cornernet_hourglass104_10xb5-crop511-210e-mstest_coco.py',
            [],
        ),
        (
            'centripetalnet/centripetalnet_hourglass104_16xb6-crop511-210e-'
            'mstest_coco.py',
            [],
        ),
        (
            'cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco.py',
            [],
        ),
        (
            'crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py',
            [],
        ),
        ('mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', []),
        ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', []),
        ('foveabox/fovea_r50_fpn_4xb4-1x_coco.py', []),
        ('faster_rcnn/faster-rcnn_r50_fpn_fcos-rpn_1x_coco.py', []),
        ('condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py', []),
        ('autoassign/autoassign_r50-caffe_fpn_1x_coco.py', []),
        ('yolox/yolox_s_8xb8-300e_coco.py', []),
        ('yolof/yolof_r50-c5_8xb8-1x_coco.py', []),
        ('reppoints/reppoints-moment_r50_fpn_1x_coco.py', []),
        ('sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py', []),
        ('queryinst/queryinst_r50_fpn_1x_coco.py', []),
        ('detr/detr_r50_8xb2-150e_coco.py', []),
        ('ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py', []),
        ('dino/dino-4scale_r50_8xb2-12e_coco.py', []),
        ('dab_detr/dab-detr_r50_8xb2-50e_coco.py', []),
    ],
)
def test_which_detectors_cannot_ignore(base, cannot):
    model = read_plain(str(ZOO / base)).model
    assert without_ignoring(model) == cannot
    if base.startswith('autoassign'):
        # Some configs still have one; the head does not read it.
        model.train_cfg = dict(assigner=dict(type='MaxIoUAssigner'))
        assert without_ignoring(model) == cannot
    # What is written for it can ignore a box, if any can.
    for key, change in range_aware_heads(model).items():
        model[key].update(change)
    assert without_ignoring(model) == cannot
    assert not range_aware_heads(model)


def test_heads_that_tell_what_to_ignore_are_known():
    """Whether mmdet's heads use what they are told, by their code."""

    def uses(head):
        code = textwrap.dedent(inspect.getsource(head.loss_by_feat))
        return any(
            isinstance(node, ast.Name)
            and node.id == 'batch_gt_instances_ignore'
            for node in ast.walk(ast.parse(code))
        )

    wrong = []
    for name in dense_heads.__all__:
        head = getattr(dense_heads, name)
        found = MODELS.get(f'mmdet.{name}')
        # One gets its targets from a teacher, and is refused; one learns
        # places of what it tells to ignore; of some, ours does what they do
        # not.
        known = head in RANGE_AWARE_HEADS
        known |= name in ('LADHead', 'GuidedAnchorHead')
        if known or not found or not hasattr(head, 'loss_by_feat'):
            continue
        told = not without_ignoring(
            dict(type='RetinaNet', bbox_head=dict(type=name))
        )
        # Of those that would ignore, some have assigners that do not.
        if told and not uses(head):
            wrong.append(name)
        if issubclass(head, dense_heads.AnchorHead) and uses(head) != told:
            wrong.append(name)
    assert not wrong


@pytest.mark.parametrize(
    'parent', RANGE_AWARE_HEADS, ids=lambda head: head.__name__
)
def test_a_head_that_inherits_is_not_replaced(parent):
    """It may do what ours would not, and nobody knows what it learns."""
    mine = type('MyHead', (parent,), {})
    key = 'roi_head' if 'roi' in parent.__module__ else 'bbox_head'
    model = dict(type='FasterRCNN', **{key: dict(type=mine)})
    assert without_ignoring(model) == ['MyHead']
    assert not range_aware_heads(model)


def _assign(kind, valid, ignored):
    """Anchors of a grid and what of them an assigner says."""
    grid = TASK_UTILS.build(
        dict(
            type='AnchorGenerator',
            strides=[8, 16, 32, 64],
            ratios=[1.0],
            octave_base_scale=6,
            scales_per_octave=1,
        )
    )
    levels = grid.grid_priors(
        [(64, 64), (32, 32), (16, 16), (8, 8)], device='cpu'
    )
    cfg = dict(
        MaxIoUAssigner=dict(
            pos_iou_thr=0.5, neg_iou_thr=0.4, ignore_iof_thr=0.5
        ),
        ATSSAssigner=dict(topk=9, ignore_iof_thr=0.5),
        SimOTAAssigner=dict(candidate_topk=9),
        ApproxMaxIoUAssigner=dict(pos_iou_thr=0.5, neg_iou_thr=0.4),
        UniformAssigner=dict(pos_ignore_thr=0.15, neg_ignore_thr=0.7),
    ).get(kind, dict(topk=9))
    cfg['type'] = kind
    cfg.update(range_aware(cfg))
    priors = anchors = torch.cat(levels)
    if kind in ('DynamicSoftLabelAssigner', 'SimOTAAssigner'):
        # Points and strides.
        middle = (anchors[:, :2] + anchors[:, 2:]) / 2
        priors = torch.cat([middle, (anchors[:, 2:] - anchors[:, :2]) / 6], 1)
    # Predicted are the anchors themselves.
    scores = torch.full((len(anchors), 1), 0.5)
    predicted = dict(
        bboxes=anchors, decoder_priors=anchors, approxs=anchors[:, None]
    )
    args = [InstanceData(priors=priors, scores=scores, **predicted)]
    if kind == 'ATSSAssigner':
        args.append([len(level) for level in levels])
    result = TASK_UTILS.build(cfg).assign(
        *args,
        InstanceData(
            bboxes=torch.tensor(valid).reshape(-1, 4).float(),
            labels=torch.zeros(len(valid), dtype=torch.long),
        ),
        InstanceData(bboxes=torch.tensor(ignored).reshape(-1, 4).float()),
    )
    return anchors, result.gt_inds


@pytest.mark.parametrize(
    'kind',
    # Two go by places, not by boxes, and one has several objects per box:
    # these have tests of their own.
    [
        kind
        for kind in RANGE_AWARE
        if kind
        not in (
            'CenterRegionAssigner',
            'MultiInstanceAssigner',
            'RegionAssigner',
        )
    ],
)
def test_objects_in_front_of_an_ignored_box_are_learned(kind):
    """By each assigner that is said to ignore."""
    init_default_scope('mmdet')
    small, large = [236, 236, 284, 284], [100, 100, 400, 400]
    _, alone = _assign(kind, [small], [])
    anchors, found = _assign(kind, [small], [large])
    assert (alone > 0).any() and ((alone > 0) == (found > 0)).all()
    # With and without an object, what is like the ignored box is ignored.
    for valid in ([small], []):
        anchors, found = _assign(kind, valid, [large])
        like = (anchors - torch.tensor(large)).abs().max(1).values < 60
        assert like.any() and (found[like] == -1).all()
        far = anchors[:, 0] > 410
        assert far.any() and (found[far] == 0).all()


@pytest.mark.parametrize(
    ('base', 'epoch'),
    [
        ('atss/atss_r50_fpn_1x_coco.py', 0),
        ('ddod/ddod_r50_fpn_1x_coco.py', 0),
        ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', 0),
        ('fsaf/fsaf_r50_fpn_1x_coco.py', 0),
        ('gfl/gfl_r50_fpn_1x_coco.py', 0),
        ('retinanet/retinanet_r50_fpn_1x_coco.py', 0),
        ('rtmdet/rtmdet_s_8xb32-300e_coco.py', 0),
        # Its assigner of the first epochs, and the other one.
        ('tood/tood_r50_fpn_1x_coco.py', 0),
        ('tood/tood_r50_fpn_1x_coco.py', 9),
        ('yolof/yolof_r50-c5_8xb8-1x_coco.py', 0),
        ('yolox/yolox_s_8xb8-300e_coco.py', 0),
    ],
)
def test_heads_learn_nothing_where_it_is_ignored(base, epoch):
    """Scores of ignored anchors have no gradient, others have one.

    YOLOX tells objects from background by its objectness.
    """
    torch.manual_seed(0)
    MessageHub.get_current_instance().update_info('epoch', epoch)
    path = str(ZOO / base)
    cfg = delta_of(sniperize(read_plain(path), path)[0])
    head = MODELS.build(without_weights(cfg.model)).detector.bbox_head
    for layer in getattr(head, 'rtm_reg', ()):
        # Untrained, RTMDet predicts boxes without a size; now of 4 strides.
        torch.nn.init.constant_(layer.bias, 4)
    for layer in getattr(head, 'multi_level_conv_reg', ()):
        # YOLOX, of one stride; now of 8.
        torch.nn.init.constant_(layer.bias[2:], math.log(8))
    maps = [
        torch.rand(1, head.in_channels, 512 // stride, 512 // stride)
        for stride, _ in head.prior_generator.strides
    ]
    # As large as an anchor of stride 16, or 32, about one of its cells.
    ignored = InstanceData(
        bboxes=torch.tensor([[72.0, 72.0, 200.0, 200.0]]),
        labels=torch.tensor([0]),
    )
    objects = InstanceData(
        bboxes=torch.tensor([[10.0, 10.0, 60.0, 60.0]]),
        labels=torch.tensor([0]),
    )
    untrained = {}
    for told in (False, True):
        outs = head(maps)
        levels, name = (
            (outs[2], 'obj') if 'yolox' in base else (outs[0], 'cls')
        )
        for scores in levels:
            scores.retain_grad()
        losses = head.loss_by_feat(
            *outs,
            batch_gt_instances=[objects],
            batch_img_metas=[dict(img_shape=(512, 512), pad_shape=(512, 512))],
            batch_gt_instances_ignore=[ignored if told else None],
        )
        total = [
            part
            for key, loss in losses.items()
            if name in key
            for part in (loss if isinstance(loss, list) else [loss])
        ]
        sum(total).backward()
        untrained[told] = sum(
            int((scores.grad == 0).sum()) for scores in levels
        )
        assert any((scores.grad != 0).any() for scores in levels)
    # These have anchors that are neither object nor background.
    assert untrained[False] == 0 or base.startswith(
        ('fsaf', 'retinanet', 'yolof')
    )
    assert untrained[False] < untrained[True]
