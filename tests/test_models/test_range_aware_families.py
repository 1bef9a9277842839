"""Where heads with rules of their own learn nothing, and where as before."""

import pytest
import torch
from annotated import instances
from mmdet.models.task_modules import AssignResult
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from sniper_mmdet.registry import MODELS, TASK_UTILS

SIDE = 512
#: A box out of range, and a small object in front of its middle.
LARGE, SMALL = (72, 72, 200, 200), (124, 124, 148, 148)
STRIDES = 8, 16, 32, 64, 128
META = dict(
    img_shape=(SIDE, SIDE),
    pad_shape=(SIDE, SIDE),
    batch_input_shape=(SIDE, SIDE),
)
NOTHING = (None, [None], [instances()])


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    torch.manual_seed(0)


def both(kind, **settings):
    """Of mmdet and ours, of the same weights."""
    heads = [
        MODELS.build(dict(type=name, num_classes=3, **settings))
        for name in (kind, f'sniper_mmdet.RangeAware{kind}')
    ]
    heads[1].load_state_dict(heads[0].state_dict())
    return heads


def maps(channels, strides=STRIDES, value=None):
    """Maps of one image, (1, channels, H, W) by level, with gradients."""
    sizes = [(1, channels, SIDE // s, SIDE // s) for s in strides]
    made = [
        torch.rand(size) if value is None else torch.full(size, value)
        for size in sizes
    ]
    return [one.requires_grad_() for one in made]


def trained_by(head, name, watched, others, objects, ignored):
    """Losses, and the gradients of the watched maps, (H, W) by level."""
    for one in watched:
        one.grad = None
    losses = head.loss_by_feat(*others, [objects], [META], ignored)
    found = losses[name]
    sum(found if isinstance(found, list) else [found]).backward()
    return losses, [one.grad[0].abs().amax(0) for one in watched]


def same(one, other):
    for key in one:
        first, second = one[key], other[key]
        if not isinstance(first, list):
            first, second = [first], [second]
        assert all(map(torch.equal, first, second)), key


def like_large(size, stride):
    """Where (H, W) squares about the corners of cells are like LARGE."""
    grid = torch.arange(0.0, SIDE, stride)
    shared = (
        torch.minimum(grid + size / 2, torch.tensor(200.0))
        - torch.maximum(grid - size / 2, torch.tensor(72.0))
    ).clamp(min=0)
    shared = shared[:, None] * shared
    return shared / (128**2 + size**2 - shared) > 0.3


def test_background_of_freeanchor():
    plain, ours = both(
        'FreeAnchorRetinaHead',
        in_channels=8,
        feat_channels=8,
        stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=8,
            scales_per_octave=1,
            ratios=[1.0],
            strides=list(STRIDES),
        ),
    )
    scores, boxes = maps(3), maps(4, value=0.0)
    outs = scores, boxes
    for objects in (instances([SMALL], 1), instances()):
        args = 'negative_bag_loss', scores, outs, objects
        before, all_levels = trained_by(plain, *args, None)
        for nothing in NOTHING:
            again, levels = trained_by(ours, *args, nothing)
            same(before, again)
            assert all(map(torch.equal, all_levels, levels))
        found, levels = trained_by(ours, *args, [instances([LARGE], 80)])
        # Anchors are eight strides wide, about the corners of cells.
        like = like_large(128, 16)
        if len(objects):
            assert torch.equal(
                before['positive_bag_loss'], found['positive_bag_loss']
            )
        assert like.any() and not levels[1][like].any()
        assert torch.equal(levels[1][~like], all_levels[1][~like])
        assert torch.equal(levels[0], all_levels[0])


@pytest.mark.parametrize('label', [80, -1])
def test_background_of_autoassign(label):
    plain, ours = both(
        'AutoAssignHead',
        in_channels=8,
        feat_channels=32,
        stacked_convs=1,
        strides=list(STRIDES),
    )
    scores, objectness = maps(3), maps(1)
    # Points (96, 96) and, in the object, (128, 128) of the second level
    # predict the ignored box.
    boxes = maps(4, value=4.0)
    with torch.no_grad():
        for x, y in ((96, 96), (128, 128)):
            place = torch.tensor([x - 72.0, y - 72, 200 - x, 200 - y])
            boxes[1][0, :, y // 16, x // 16] = place
    outs = scores, boxes, objectness
    objects = instances([SMALL], 1)
    args = 'loss_neg', objectness, outs, objects
    before, all_levels = trained_by(plain, *args, None)
    for nothing in NOTHING:
        again, levels = trained_by(ours, *args, nothing)
        same(before, again)
    found, levels = trained_by(ours, *args, [instances([LARGE], label)])
    assert torch.equal(before['loss_pos'], found['loss_pos'])
    silent = [
        (now == 0) & (old != 0)
        for now, old in zip(levels, all_levels, strict=True)
    ]
    assert silent[1][6, 6] and not silent[1][8, 8]
    if label == 80:
        assert int(sum(level.sum() for level in silent)) == 1
    else:  # boxes of eight pixels about the points in the region
        inside = torch.arange(0, SIDE, 8)
        inside = (inside > 72) & (inside < 200)
        inside = inside[:, None] & inside
        inside[16:19, 16:19] = False  # in the object
        assert torch.equal(silent[0], inside)


@pytest.mark.parametrize('kind', ['Corner', 'Centripetal'])
def test_heat_of_corners(kind):
    plain, ours = both(
        f'{kind}Head', in_channels=8, corner_emb_channels=int(kind == 'Corner')
    )
    shape = (1, 3, 128, 128)
    heats = [torch.zeros(shape, requires_grad=True) for _ in range(2)]
    # Embeddings and offsets, or offsets and two kinds of shifts.
    channels = (1, 1, 2, 2) if kind == 'Corner' else (2,) * 6
    others = [torch.rand(1, count, 128, 128) for count in channels]
    outs = [[one] for one in (*heats, *others)]
    objects = instances([(300, 300, 340, 340)], 1)
    args = 'det_loss', heats, outs, objects
    before, (everywhere, _) = trained_by(plain, *args, None)
    for nothing in NOTHING:
        same(before, trained_by(ours, *args, nothing)[0])
    found, places = trained_by(ours, *args, [instances([LARGE], 80)])
    for place, (hot, cold) in zip(places, ((18, 50), (50, 18)), strict=True):
        assert place[hot, hot] < 1e-12 < place[cold, cold]
    assert places[0][75, 75] > 0  # the object's corner
    for key in set(before) - {'det_loss'}:
        assert all(map(torch.equal, before[key], found[key]))
    _, places = trained_by(ours, *args, [instances([LARGE], -1)])
    for place in places:
        assert (place[18:50, 18:50] < 1e-12).all()
        assert torch.equal(place[:18, :], everywhere[:18, :])


def test_heat_of_centernet_update():
    plain, ours = both(
        'CenterNetUpdateHead',
        in_channels=8,
        feat_channels=32,
        stacked_convs=1,
        strides=list(STRIDES),
    )
    scores, boxes = maps(3, value=-1.0), maps(4, value=3.0)
    outs = scores, boxes
    objects = instances([SMALL], 1)
    args = 'loss_cls', scores, outs, objects
    before, everywhere = trained_by(plain, *args, None)
    for nothing in NOTHING:
        again, levels = trained_by(ours, *args, nothing)
        same(before, again)
        assert all(map(torch.equal, everywhere, levels))
    found, levels = trained_by(ours, *args, [instances([LARGE], 80)])
    assert torch.equal(before['loss_bbox'], found['loss_bbox'])
    # The object is learned, and the other classes are not background there.
    assert scores[0].grad[0, 1, 17, 17] < 0
    assert scores[1].grad[0, [0, 2], 8, 8].abs().max() < 1e-12
    assert torch.equal(levels[1][20:], everywhere[1][20:])
    _, levels = trained_by(ours, *args, [instances([LARGE], -1)])
    assert scores[1].grad[0, 0, 5:12, 5:12].abs().max() < 1e-12
    assert torch.equal(levels[1][13:], everywhere[1][13:])


def test_centernet_update_has_no_soft_weights():
    with pytest.raises(ValueError, match='soft_weight_on_reg must be False'):
        both('CenterNetUpdateHead', in_channels=8, soft_weight_on_reg=True)


def test_background_alone_for_centernet_update():
    """As an image without objects has it: no heat at all."""
    _, ours = both(
        'CenterNetUpdateHead', in_channels=8, feat_channels=32, stacked_convs=1
    )
    scores, boxes = maps(3, value=-1.0), maps(4, value=3.0)
    losses = ours.loss_by_feat(scores, boxes, [instances()], [META], None)
    share = torch.tensor(-1.0).sigmoid()
    cells = sum(3 * one[0, 0].numel() for one in scores)
    settings = ours.loss_cls
    expected = -(1 - share).log() * share**settings.alpha * cells
    expected = expected * settings.neg_weight * settings.loss_weight
    assert losses['loss_cls'].item() == pytest.approx(
        expected.item(), rel=1e-4
    )


def test_places_of_guided_anchoring():
    cfg = dict(center_ratio=0.2, ignore_ratio=0.5)
    plain, ours = both(
        'GARetinaHead',
        in_channels=8,
        feat_channels=8,
        stacked_convs=1,
        approx_anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[0.5, 1.0, 2.0],
            strides=list(STRIDES),
        ),
        square_anchor_generator=dict(
            type='AnchorGenerator',
            ratios=[1.0],
            scales=[4],
            strides=list(STRIDES),
        ),
    )
    sizes = [(SIDE // s, SIDE // s) for s in STRIDES]

    def weights(head, ignored):
        head.train_cfg = cfg
        head._ignored = ignored
        targets, found, _ = head.ga_loc_targets([instances([SMALL])], sizes)
        return targets, [level[0, 0] for level in found]

    _, before = weights(plain, ())
    for nothing in ((), [None], [instances()]):
        assert all(map(torch.equal, before, weights(ours, nothing)[1]))
    targets, found = weights(ours, [instances([LARGE], 80)])
    # Of 128 px at stride 32, where its middle half has no background.
    assert (found[2][4, 4], before[2][4, 4]) == (0, pytest.approx(0.1))
    assert found[2][0, 0] == found[2][9, 9] == pytest.approx(0.1)
    assert torch.equal(found[4], before[4])
    assert found[0][targets[0][0, 0] == 1].eq(1).all()
    _, found = weights(ours, [instances([LARGE], -1)])
    assert not found[2][3:6, 3:6].any() and found[4][2:].all()
    assert found[0][targets[0][0, 0] == 1].eq(1).all()


def test_middles_of_fsaf():
    """By its assigner; an object in front keeps its places."""
    how = dict(pos_scale=0.2, neg_scale=0.2, min_pos_iof=0.01)
    plain = TASK_UTILS.build(dict(type='CenterRegionAssigner', **how))
    ours = TASK_UTILS.build(
        dict(type='sniper_mmdet.RangeAwareCenterRegionAssigner', **how)
    )
    grid = torch.arange(4.0, SIDE, 8)
    y, x = torch.meshgrid(grid, grid, indexing='ij')
    centres = torch.stack([x, y], -1).view(-1, 2)
    priors = InstanceData(priors=torch.cat([centres - 4, centres + 4], 1))
    for objects in (instances([SMALL], 1), instances()):
        before = plain.assign(priors, objects).gt_inds
        assert (before > 0).any() == (len(objects) > 0)
        for nothing in (None, instances()):
            again = ours.assign(priors, objects, nothing).gt_inds
            assert torch.equal(before, again)
        found = ours.assign(priors, objects, instances([LARGE], 80)).gt_inds
        middle = ((centres - 136).abs() < 0.2 * 64 + 4).all(1)
        ignored = middle & (before == 0)
        assert torch.equal(found, before.masked_fill(ignored, -1))
        # Two boxes do not take each other's places.
        both = instances([LARGE, (60, 60, 212, 212)], 80)
        wider = ours.assign(priors, objects, both).gt_inds
        assert (wider[ignored] == -1).all()
        found = ours.assign(priors, objects, instances([LARGE], -1)).gt_inds
        ignored = ((centres - 136).abs() < 64).all(1) & (before == 0)
        assert torch.equal(found, before.masked_fill(ignored, -1))
    # FSAF's first places are on the border of the image.
    priors.priors = priors.priors - 4
    whole = ours.assign(priors, instances(), instances([(0, 0, 512, 512)], -1))
    assert (whole.gt_inds == -1).all()


def test_groups_of_anchors():
    """By the assigner of SABL; one box of a group is enough."""
    how = dict(pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0)
    plain, ours = (
        TASK_UTILS.build(dict(type=kind, **how))
        for kind in (
            'ApproxMaxIoUAssigner',
            'sniper_mmdet.RangeAwareApproxMaxIoUAssigner',
        )
    )
    squares = torch.tensor([LARGE, SMALL, (300, 300, 400, 400)]).float()
    tall = squares + torch.tensor([30, -60, -30, 60])
    found = InstanceData(
        priors=squares, approxs=torch.stack([squares, tall], 1)
    )
    objects = instances([SMALL], 1)
    ignored = instances([tall[0].tolist()], 80)
    assert plain.assign(found, objects).gt_inds.tolist() == [0, 1, 0]
    assert ours.assign(found, objects, ignored).gt_inds.tolist() == [-1, 1, 0]
    for nothing in (None, instances()):
        again = ours.assign(found, objects, nothing)
        assert again.gt_inds.tolist() == [0, 1, 0]
    none = ours.assign(found, instances(), ignored)
    assert none.gt_inds.tolist() == [-1, 0, 0]


QUERIES = torch.tensor(
    [
        SMALL,  # matched
        (124, 124, 148, 147),  # the same object again
        LARGE,
        (72, 72, 200, 150),
        (76, 76, 100, 100),
        (300, 300, 400, 400),
    ]
).float()


def sparse_head():
    stage = dict(
        type='DIIHead',
        num_classes=3,
        num_ffn_fcs=2,
        num_heads=2,
        num_cls_fcs=1,
        num_reg_fcs=1,
        feedforward_channels=8,
        in_channels=8,
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        dynamic_conv_cfg=dict(
            type='DynamicConv',
            in_channels=8,
            feat_channels=4,
            out_channels=8,
            input_feat_shape=7,
            act_cfg=dict(type='ReLU'),
            norm_cfg=dict(type='LN'),
        ),
    )
    costs = [
        dict(type='FocalLossCost', weight=2.0),
        dict(type='BBoxL1Cost', weight=5.0, box_format='xyxy'),
    ]
    trained = dict(
        assigner=dict(type='HungarianAssigner', match_costs=costs),
        sampler=dict(type='PseudoSampler'),
        pos_weight=1,
    )
    return [
        MODELS.build(
            dict(
                type=kind,
                num_stages=1,
                stage_loss_weights=[1],
                proposal_feature_channel=8,
                bbox_head=[stage],
                train_cfg=[ConfigDict(trained)],
            )
        )
        for kind in ('SparseRoIHead', 'sniper_mmdet.RangeAwareSparseRoIHead')
    ]


def test_queries_of_sparse_rcnn(monkeypatch):
    plain, ours = sparse_head()
    # Without a loss, as a count of operations runs it, nothing is ignored.
    sampler = ours.bbox_sampler[0]
    assigned = AssignResult(
        0, torch.zeros(6, dtype=torch.long), None, torch.full((6,), -1)
    )
    queries = InstanceData(bboxes=QUERIES, priors=QUERIES)
    assert len(sampler.sample(assigned, queries, instances()).neg_inds) == 6

    def learned(head, objects, ignored):
        scores = torch.full((1, 6, 3), -1.0, requires_grad=True)
        made = dict(
            cls_score=scores,
            decoded_bboxes=QUERIES.clone().requires_grad_(),
            object_feats=torch.zeros(1, 6, 8),
            detached_cls_scores=[scores[0].detach()],
            detached_proposals=[QUERIES],
        )
        monkeypatch.setattr(head, '_bbox_forward', lambda *args: made)
        sample = DetDataSample(gt_instances=objects, metainfo=META)
        if ignored is not None:
            sample.ignored_instances = ignored
        size = torch.tensor([SIDE] * 4).float()
        queries = InstanceData(
            bboxes=QUERIES,
            features=torch.zeros(6, 8),
            imgs_whwh=size.repeat(6, 1),
        )
        losses = head.loss((), [queries], [sample])
        losses['s0.loss_cls'].backward()
        return losses, (scores.grad[0] != 0).any(1).tolist()

    for objects in (instances([SMALL], 1), instances()):
        before, _ = learned(plain, objects, None)
        if not len(objects):
            # mmdet divides by the number of objects, and a little.
            loss = before['s0.loss_cls'] * torch.finfo(torch.float32).eps
            assert before['s0.loss_cls'] > 1e6 > loss > 0
            before['s0.loss_cls'] = loss
        for nothing in (None, instances()):
            again, places = learned(ours, objects, nothing)
            same(before, again)
            assert all(places)
        found, places = learned(ours, objects, instances([LARGE], 80))
        assert places == [True, True, False, False, True, True]
        for key in before:
            changed = key == 's0.loss_cls'
            assert torch.equal(before[key], found[key]) != changed
        _, places = learned(ours, objects, instances([LARGE], -1))
        trained = len(objects) > 0
        assert places == [trained, trained, False, False, False, True]


def test_dense_queries_of_ddq():
    plain, ours = both(
        'DDQDETRHead',
        embed_dims=8,
        aux_num_pos=1,
        num_pred_layer=2,
        as_two_stage=True,
        share_pred_layer=False,
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        train_cfg=dict(
            assigner=dict(
                type='HungarianAssigner',
                match_costs=[dict(type='FocalLossCost', weight=2.0)],
            )
        ),
    )
    boxes = QUERIES[None]

    def learned(head, ignored):
        scores = torch.full((1, 6, 3), 0.3, requires_grad=True)
        objects = instances([SMALL], 1)
        losses = head.aux_loss_for_dense.loss(
            scores,
            boxes,
            [objects.bboxes],
            [objects.labels],
            [dict(META, ignored=ignored)],
        )
        sum(losses['aux_loss_cls']).backward()
        return losses, (scores.grad[0] != 0).any(1).tolist()

    assert ours.aux_loss_for_dense.assigner.topk == 1
    before, everywhere = learned(plain, None)
    for nothing in (None, instances()):
        again, places = learned(ours, nothing)
        same(before, again)
        assert places == everywhere
    _, places = learned(ours, instances([LARGE], 80))
    assert everywhere == [True] * 6
    assert places == [True, True, False, False, True, True]
