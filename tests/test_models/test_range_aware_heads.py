"""Where heads of points and queries learn nothing, and where as before."""

import pytest
import torch
from annotated import instances
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from sniper_mmdet.models.task_modules import resembles
from sniper_mmdet.registry import MODELS, TASK_UTILS

SIDE = 512
#: A box out of range, and a small object in front of its middle.
LARGE, SMALL = (72, 72, 200, 200), (124, 124, 148, 148)
NEAR = SMALL, (124, 124, 148, 132)
STRIDES = 8, 16, 32, 64, 128
RANGES = (-1, 64), (64, 128), (128, 256), (256, 512), (512, 1e8)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ('box', 'like', 'in_region'),
    [
        ((72, 72, 200, 200), True, True),  # the box itself
        ((72, 72, 136, 200), True, True),  # half of it
        ((72, 72, 200, 110), False, True),  # IoU 0.297
        ((72, 72, 200, 111), True, True),  # IoU 0.305
        (NEAR[0], False, False),  # the object
        (NEAR[1], False, False),  # IoU 1 / 3 with it
        ((124, 124, 148, 130), False, True),  # IoU 1 / 4 with it
        ((80, 80, 100, 100), False, True),
        ((190, 80, 210, 100), False, False),  # half of it lies in
        ((190, 80, 209, 100), False, True),
        ((0, 0, 512, 512), False, False),
    ],
)
def test_what_is_mistaken_for_an_ignored_box(box, like, in_region):
    boxes, objects = (instances([b]).bboxes for b in (box, SMALL))
    for label, expected in ((5, like), (-1, in_region)):
        ignored = instances([LARGE], label)
        found = resembles(boxes, ignored, 0.3, objects=objects)
        assert found.tolist() == [expected]
    # Nothing is near where nothing is trained.
    for nothing in (None, objects[:0]):
        found = resembles(boxes, instances([LARGE], -1), 0.3, objects=nothing)
        assert found.item() == (in_region or box in NEAR)


@pytest.mark.parametrize('kind', ['TaskAligned', 'DynamicSoftLabel'])
@pytest.mark.parametrize('objects', [[], [SMALL]])
def test_background_that_is_predicted_like_an_ignored_box(kind, objects):
    """By the assigners that go by predictions."""
    settings = dict(type=f'{kind}Assigner', topk=3)
    parent = TASK_UTILS.build(settings)
    settings['type'] = f'sniper_mmdet.RangeAware{kind}Assigner'
    assigner = TASK_UTILS.build(settings)
    assert assigner.ignore_iou_thr == 0.3
    grid = torch.arange(4.0, SIDE, 8)
    y, x = torch.meshgrid(grid, grid, indexing='ij')
    centres = torch.stack([x, y], -1).view(-1, 2)
    priors = torch.cat([centres - 4, centres + 4], 1)
    if kind == 'DynamicSoftLabel':
        priors = torch.cat([centres, torch.full_like(centres, 8)], 1)
    # Every place in the middle predicts the large box, but for the few that
    # predict the small one.
    boxes = torch.cat([centres - 4, centres + 4], 1)
    middle = ((centres - 136).abs() < 40).all(1)
    boxes[middle] = torch.tensor(LARGE).float()
    small = ((centres - 136).abs() < 12).all(1)
    boxes[small] = torch.tensor(SMALL).float()
    predicted = InstanceData(
        bboxes=boxes, priors=priors, scores=torch.rand(len(boxes), 3)
    )
    trained = instances(objects)
    before = parent.assign(predicted, trained)
    assert (before.gt_inds > 0).sum() == 3 * len(objects)
    for nothing in (None, instances()):
        same = assigner.assign(predicted, trained, nothing)
        assert torch.equal(same.gt_inds, before.gt_inds)
    found = assigner.assign(predicted, trained, instances([LARGE], 2))
    expected = torch.where(middle & ~small, -1, before.gt_inds)
    assert torch.equal(found.gt_inds, expected)
    assert torch.equal(found.labels, before.labels)
    # What lies in a region is ignored, whatever its size.
    found = assigner.assign(predicted, trained, instances([LARGE], -1))
    inside = ((centres - 136).abs() < 64).all(1)
    if objects:  # What predicts the object twice is background.
        inside &= ~small
    expected = torch.where(inside & (before.gt_inds == 0), -1, before.gt_inds)
    assert torch.equal(found.gt_inds, expected)


def both_heads(kind, **settings):
    """Of mmdet and ours, of the same weights."""
    heads = [
        MODELS.build(dict(type=name, num_classes=3, **settings))
        for name in (f'{kind}Head', f'sniper_mmdet.RangeAware{kind}Head')
    ]
    heads[1].load_state_dict(heads[0].state_dict())
    return heads


def point_head(kind):
    extra = {}
    if kind == 'Fovea':
        extra = dict(
            base_edge_list=[16, 32, 64, 128, 256],
            scale_ranges=[
                (1, 64),
                (32, 128),
                (64, 256),
                (128, 512),
                (256, 2048),
            ],
            sigma=0.4,
            loss_bbox=dict(type='SmoothL1Loss'),
        )
    return both_heads(
        kind,
        in_channels=32,
        feat_channels=32,
        stacked_convs=1,
        strides=STRIDES,
        **extra,
    )


def scores_of(head, maps, objects, ignored):
    """Losses of two images, and the gradients of scores (B, H, W)."""
    outs = head(maps)
    for scores in outs[0]:
        scores.retain_grad()
    losses = head.loss_by_feat(
        *outs, objects, [dict(img_shape=(SIDE, SIDE))] * 2, ignored
    )
    losses['loss_cls'].backward()
    return losses, [scores.grad.abs().amax(1) for scores in outs[0]]


@pytest.mark.parametrize('kind', ['FCOS', 'NASFCOS', 'Fovea'])
def test_points_that_an_ignored_box_would_have(kind):
    plain, ours = point_head(kind)
    maps = [torch.rand(2, 32, SIDE // s, SIDE // s) for s in STRIDES]
    objects = [instances([SMALL], 1), instances()]
    empty = [instances()] * 2
    before, _ = scores_of(plain, maps, objects, None)
    for nothing in (None, empty, [None, None]):
        same, levels = scores_of(ours, maps, objects, nothing)
        assert all(torch.equal(before[key], same[key]) for key in before)
        assert all((level != 0).all() for level in levels)
    ignored = [instances([LARGE], 80)] * 2
    found, levels = scores_of(ours, maps, objects, ignored)
    for key in before:
        assert torch.equal(before[key], found[key]) == (key != 'loss_cls')
    assert found['loss_cls'] < before['loss_cls']
    silent = [(level == 0) for level in levels]
    # The same in both images: no point has an object of both sizes.
    assert [int(level.sum()) for level in silent] == [
        2 * expected_silent(kind, level) for level in range(5)
    ]
    assert torch.equal(silent[1][0], silent[1][1])
    _, levels = scores_of(ours, maps, objects, [None, ignored[1]])
    assert all((level[0] != 0).all() for level in levels)
    assert torch.equal(levels[1][1] == 0, silent[1][1])
    # Where the small object is, and around it.
    assert not silent[0][:, 14:20, 14:20].any()


def expected_silent(kind, level):
    """Points of a level that the large box alone would have, by a loop."""
    stride, count = STRIDES[level], 0
    for y in range(stride // 2, SIDE, stride):
        for x in range(stride // 2, SIDE, stride):
            sides = x - 72, 200 - x, y - 72, 200 - y
            low, high = RANGES[level]
            if kind == 'Fovea':
                # 128 px are of two levels; points of its middle two fifths.
                inside = max(abs(x - 136), abs(y - 136)) <= 0.4 * 64
                count += inside and level in (1, 2, 3)
            else:
                count += min(sides) > 0 and low <= max(sides) <= high
    return count


def test_points_in_an_annotated_region():
    _, ours = point_head('FCOS')
    maps = [torch.rand(2, 32, SIDE // s, SIDE // s) for s in STRIDES]
    objects = [instances([SMALL], 1), instances()]
    _, levels = scores_of(ours, maps, objects, [instances([LARGE], -1)] * 2)
    for i, (stride, level) in enumerate(zip(STRIDES, levels, strict=True)):
        centres = torch.arange(stride // 2, SIDE, stride)
        inside = (centres > 72) & (centres < 200)
        inside = inside[:, None] & inside
        for image in range(2):
            silent = (level[image] == 0).clone()
            if image == 0 and i == 0:
                # The object's own points, those in it, are trained.
                assert not silent[16:18, 16:18].any()
                silent[15:19, 15:19] = inside[15:19, 15:19]
            assert torch.equal(silent, inside)


def like_large(grid):
    """Where (H, W) a box of its size has an IoU above 0.3 with LARGE."""
    shared = (128 - (grid - 136).abs()).clamp(min=0)
    shared = shared[:, None] * shared
    return shared / (2 * 128**2 - shared) > 0.3


def test_background_of_vfnet():
    settings = dict(
        in_channels=32,
        feat_channels=32,
        stacked_convs=1,
        strides=STRIDES,
        regress_ranges=RANGES,
        train_cfg=dict(
            assigner=dict(type='sniper_mmdet.RangeAwareATSSAssigner', topk=3),
            allowed_border=-1,
            pos_weight=-1,
        ),
    )
    plain, ours = both_heads('VFNet', **settings)
    maps = [torch.rand(2, 32, SIDE // s, SIDE // s) for s in STRIDES]
    objects = [instances([SMALL], 1), instances()]
    metas = [dict(img_shape=(SIDE, SIDE), pad_shape=(SIDE, SIDE))] * 2

    def learned(head, ignored):
        outs = head(maps)
        for scores in outs[0]:
            scores.retain_grad()
        losses = head.loss_by_feat(*outs, objects, metas, ignored)
        losses['loss_cls'].backward()
        places = [scores.grad.abs().amax(1) > 0 for scores in outs[0]]
        return losses, places

    before, everywhere = learned(plain, None)
    assert all(level.all() for level in everywhere)
    for nothing in (None, [None] * 2, [instances()] * 2):
        same, places = learned(ours, nothing)
        assert all(torch.equal(before[key], same[key]) for key in before)
        assert all(level.all() for level in places)
    found, places = learned(ours, [None, instances([LARGE], 80)])
    assert all(level[0].all() for level in places)
    # Anchors are eight strides wide: 128 px at the second level.
    like = like_large(torch.arange(0.0, SIDE, 16))
    assert like.any() and torch.equal(~places[1][1], like)
    assert places[0][1].all()  # 64 px have an IoU of 1 / 4 at most
    assert found['loss_cls'] < before['loss_cls']


def test_vfnet_must_have_an_assigner():
    with pytest.raises(ValueError, match='use_atss must be True'):
        both_heads('VFNet', in_channels=32, use_atss=False)


@pytest.mark.parametrize('objects', [[], [SMALL]])
def test_background_of_yolov3(objects):
    assigner = dict(
        type='GridAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0
    )
    plain, ours = both_heads(
        'YOLOV3',
        in_channels=[8, 8],
        out_channels=[8, 8],
        anchor_generator=dict(
            type='YOLOAnchorGenerator',
            base_sizes=[[(24, 24), (128, 128)], [(256, 256), (400, 400)]],
            strides=[16, 32],
        ),
        featmap_strides=[16, 32],
        train_cfg=dict(assigner=assigner),
    )
    maps = [torch.rand(1, 8, SIDE // s, SIDE // s) for s in (16, 32)]
    metas = [dict(img_shape=(SIDE, SIDE), pad_shape=(SIDE, SIDE))]

    def learned(head, ignored):
        """Losses, and which (anchor, row, column) of the finer map learn."""
        (outs,) = head(maps)
        outs[0].retain_grad()
        trained = [instances(objects, 1)]
        losses = head.loss_by_feat(outs, trained, metas, ignored)
        sum(losses['loss_conf']).backward()
        return losses, outs[0].grad.view(2, 8, 32, 32)[:, 4] != 0

    before, everywhere = learned(plain, None)
    for nothing in (None, [None], [instances()]):
        same, places = learned(ours, nothing)
        assert torch.equal(places, everywhere)
        for key in before:
            assert all(map(torch.equal, before[key], same[key]))
    _, places = learned(ours, [instances([LARGE], 80)])
    like = like_large(torch.arange(8.0, SIDE, 16))
    assert torch.equal(places[0], everywhere[0])
    assert torch.equal(places[1], everywhere[1] & ~like)
    # The object in front is learned, and its anchor.
    assert places[0, 8, 8]


def query_head(kind):
    costs = [
        dict(type='FocalLossCost', weight=2.0),
        dict(type='BBoxL1Cost', weight=5.0, box_format='xywh'),
    ]
    return both_heads(
        kind,
        embed_dims=8,
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        train_cfg=dict(
            assigner=dict(type='HungarianAssigner', match_costs=costs)
        ),
    )


@pytest.mark.parametrize(
    'kind', ['ConditionalDETR', 'DABDETR', 'DeformableDETR', 'DETR', 'DINO']
)
def test_queries_like_an_ignored_box(kind):
    plain, ours = query_head(kind)
    boxes = [
        SMALL,  # matched
        (124, 124, 148, 147),  # the same object again
        LARGE,
        (72, 72, 200, 150),
        (76, 76, 100, 100),
        (300, 300, 400, 400),
    ]
    boxes = bbox_xyxy_to_cxcywh(torch.tensor(boxes) / SIDE)[None]
    meta = dict(img_shape=(SIDE, SIDE))

    def learned(head, objects, ignored):
        scores = torch.full((1, 6, 3), -1.0, requires_grad=True)
        losses = head.loss_by_feat_single(
            scores, boxes, [objects], [dict(meta, ignored=ignored)]
        )
        losses[0].backward()
        return losses, (scores.grad[0] != 0).any(1).tolist()

    for objects in (instances([SMALL], 1), instances()):
        before, _ = learned(plain, objects, None)
        for nothing in (None, instances()):
            same, places = learned(ours, objects, nothing)
            assert all(places)
            assert all(map(torch.equal, before, same))
        found, places = learned(ours, objects, instances([LARGE], 80))
        assert places == [True, True, False, False, True, True]
        assert all(map(torch.equal, before[1:], found[1:]))
        _, places = learned(ours, objects, instances([LARGE], -1))
        trained = len(objects) > 0
        assert places == [trained, trained, False, False, False, True]


def test_a_head_of_queries_reads_what_its_samples_ignore():
    """And hands on what it is given, by the names that mmdet has."""
    _, head = query_head('DINO')
    sample = DetDataSample(gt_instances=instances([SMALL]))
    seen = []
    head.forward = lambda *args: ()
    head.loss_by_feat = lambda *args: seen.append(args[-2][0]['ignored'])
    for ignored in (None, instances([LARGE], 2)):
        if ignored is not None:
            sample.ignored_instances = ignored
        head.loss(
            None, None, None, None, batch_data_samples=[sample], dn_meta=None
        )
    assert seen[0] is None and seen[1].bboxes.tolist() == [[*LARGE]]
