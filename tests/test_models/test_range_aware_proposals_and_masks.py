"""Cascade RPN, CrowdDet, MaskFormer and Mask2Former: where they learn."""

import pytest
import torch
from annotated import instances
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from zoo import ZOO

from sniper_mmdet.models.detectors.box_proposals import few_proposals
from sniper_mmdet.registry import MODELS, TASK_UTILS
from sniper_mmdet.sniperize.config import read_plain
from sniper_mmdet.sniperize.probe import without_weights

SIDE = 512
#: A box out of range, and a small object in front of its middle.
LARGE, SMALL = (72, 72, 200, 200), (124, 124, 148, 148)
META = dict(
    img_shape=(SIDE, SIDE),
    pad_shape=(SIDE, SIDE),
    batch_input_shape=(SIDE, SIDE),
)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    torch.manual_seed(0)


def sample_of(objects, ignored=None):
    sample = DetDataSample(metainfo=META, gt_instances=objects)
    if ignored is not None:
        sample.ignored_instances = ignored
    return sample


def same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        first, second = one[key], other[key]
        if not isinstance(first, list):
            first, second = [first], [second]
        assert all(map(torch.equal, first, second)), key


def model_of(base, **settings):
    cfg = read_plain(str(ZOO / base))
    cfg.merge_from_dict({f'model.{k}': v for k, v in settings.items()})
    return without_weights(cfg.model)


class TestCascadeRPN:
    @pytest.fixture
    def heads(self):
        model = model_of(
            'cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco.py'
        )
        trained = model.train_cfg.rpn
        # All anchors are taken.
        trained[1].sampler.num = 10**6
        trained[1].sampler.pos_fraction = 1.0
        ours = [dict(one) for one in trained]
        for cfg, kind in zip(ours, ('Region', ''), strict=True):
            kind = f'sniper_mmdet.RangeAware{kind}Assigner'
            cfg['assigner'] = dict(cfg['assigner'], type=kind)
        for stage in model.rpn_head.stages:
            stage.in_channels = stage.feat_channels = 8
        heads = [
            MODELS.build(
                dict(
                    model.rpn_head,
                    type=kind,
                    num_classes=1,
                    train_cfg=list(map(ConfigDict, train_cfg)),
                    test_cfg=model.test_cfg.rpn,
                )
            )
            for kind, train_cfg in (
                ('CascadeRPNHead', trained),
                ('sniper_mmdet.RangeAwareCascadeRPNHead', ours),
            )
        ]
        heads[1].load_state_dict(heads[0].state_dict())
        return heads

    @staticmethod
    def learned(head, monkeypatch, sample, name='loss'):
        """Losses; anchors of the last stage; which of them it learns from."""
        stage, kept = head.stages[-1], {}
        forward, loss_by_feat = type(stage).forward, type(stage).loss_by_feat

        def watched(x, offsets):
            x, scores, boxes = forward(stage, x, offsets)
            for level in scores:
                level.retain_grad()
            kept['scores'] = scores
            return x, scores, boxes

        def noted(anchors, *args):
            kept['anchors'] = torch.cat(anchors[0])
            return loss_by_feat(stage, anchors, *args)

        monkeypatch.setattr(stage, 'forward', watched)
        monkeypatch.setattr(stage, 'loss_by_feat', noted)
        generator = torch.Generator().manual_seed(0)
        maps = [
            torch.rand(1, 8, SIDE // s, SIDE // s, generator=generator)
            for s in (4, 8, 16, 32, 64)
        ]
        losses = getattr(head, name)(maps, [sample])
        losses = losses if name == 'loss' else losses[0]
        sum(losses['s1.loss_rpn_cls']).backward()
        places = [level.grad.flatten() != 0 for level in kept['scores']]
        return losses, kept['anchors'], torch.cat(places)

    @pytest.mark.parametrize('name', ['loss', 'loss_and_predict'])
    def test_anchors(self, heads, monkeypatch, name):
        for objects in (instances([SMALL]), instances()):
            plain, ours = (
                (head, monkeypatch, sample_of(objects)) for head in heads
            )
            before, anchors, everywhere = self.learned(*plain, name)
            for nothing in (None, instances()):
                given = sample_of(objects, nothing)
                again = self.learned(*ours[:2], given, name)
                same(before, again[0])
                assert torch.equal(everywhere, again[2])
            given = sample_of(objects, instances([LARGE], 80))
            found, _, places = self.learned(*ours[:2], given, name)
            like = bbox_overlaps(anchors, torch.tensor([LARGE]))[:, 0] > 0.3
            assert like.any() and everywhere[like].all()
            assert torch.equal(places, everywhere & ~like)
            # Boxes are learned from objects alone.
            assert torch.equal(
                torch.stack(before['s0.loss_rpn_reg']),
                torch.stack(found['s0.loss_rpn_reg']),
            )

    def test_places_of_the_first_stage(self):
        plain = TASK_UTILS.build(dict(type='RegionAssigner'))
        ours = TASK_UTILS.build(
            dict(type='sniper_mmdet.RangeAwareRegionAssigner')
        )
        strides = [8, 16, 32]
        grid = TASK_UTILS.build(
            dict(
                type='AnchorGenerator',
                scales=[8],
                ratios=[1.0],
                strides=strides,
            )
        )
        sizes = [(SIDE // stride,) * 2 for stride in strides]
        anchors = torch.cat(grid.grid_priors(sizes, device='cpu'))
        centres = (anchors[:, :2] + anchors[:, 2:]) / 2
        given = InstanceData(
            priors=anchors, valid_flags=torch.ones(len(anchors)).bool()
        )
        others = META, sizes, [n * n for n, _ in sizes], 8, strides

        def assigned(assigner, objects, ignored=None):
            # Anchors may reach over the border.
            told = dict(gt_instances_ignore=ignored, allowed_border=-1)
            return assigner.assign(given, objects, *others, **told).gt_inds

        for objects in (instances([SMALL], 1), instances()):
            before = assigned(plain, objects)
            assert (before > 0).any() == (len(objects) > 0)
            for nothing in (None, instances()):
                assert torch.equal(before, assigned(ours, objects, nothing))
            found = assigned(ours, objects, instances([LARGE], 80))
            # Of 128 px: the second level, and the middles of those beside it.
            alone = assigned(plain, instances([LARGE])) != 0
            middle = ((centres - 136).abs() <= 32 + 8).all(1)
            assert alone.sum() > 20 and middle[alone].all()
            ignored = alone & (before == 0)
            assert torch.equal(found, before.masked_fill(ignored, -1))
            # Two boxes do not take each other's places.
            both = instances([LARGE, (60, 60, 212, 212)], 80)
            assert (assigned(ours, objects, both)[ignored] == -1).all()
            found = assigned(ours, objects, instances([LARGE], -1))
            ignored = ((centres - 136).abs() < 64).all(1) & (before == 0)
            edge = ((centres - 136).abs() == 64).any(1)
            expected = before.masked_fill(ignored, -1)
            assert torch.equal(found[~edge], expected[~edge])

    def test_the_last_stage_decides_how_many_proposals(self, heads):
        """Where AutoFocus asks for fewer."""
        detector = torch.nn.Module()
        detector.rpn_head = heads[0]

        def numbers():
            tests = [stage.test_cfg for stage in heads[0].stages]
            return [(own.max_per_img, own.nms_pre) for own in tests]

        before = numbers()
        with few_proposals(detector, 7):
            assert numbers() == [(7, 14)] * 2
        assert numbers() == before
        with few_proposals(detector, 250):
            assert numbers() == [(250, 500)] * 2
        for num in (300, 400, 800):
            with few_proposals(detector, num):
                assert numbers() == before == [(300, 1000)] * 2


#: Of CrowdDet, as proposals.
ROIS = torch.tensor(
    [
        SMALL,
        LARGE,
        (72, 72, 200, 160),  # most of it
        (76, 76, 100, 100),  # in it
        (300, 300, 400, 400),
    ]
).float()


class TestCrowdDet:
    @pytest.fixture
    def heads(self):
        model = model_of(
            'crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py',
            **{
                'roi_head.bbox_head.in_channels': 8,
                'roi_head.bbox_head.fc_out_channels': 8,
                'roi_head.bbox_roi_extractor.out_channels': 8,
            },
        )
        trained = model.train_cfg.rcnn
        ours = ConfigDict(
            trained,
            assigner=dict(
                trained.assigner,
                type='sniper_mmdet.RangeAwareMultiInstanceAssigner',
                ignore_iou_thr=0.5,
            ),
        )
        heads = [
            MODELS.build(
                dict(model.roi_head, type=kind, train_cfg=cfg, test_cfg=None)
            )
            for kind, cfg in (
                ('MultiInstanceRoIHead', trained),
                ('sniper_mmdet.RangeAwareMultiInstanceRoIHead', ours),
            )
        ]
        heads[1].load_state_dict(heads[0].state_dict())
        return heads

    @staticmethod
    def learned(head, monkeypatch, objects, ignored):
        """The loss, and the predictions of RoIs by which it is taught."""
        kept = {}

        def forward(x, rois):
            scores = torch.full((len(rois), 4), 0.5)
            scores += torch.tensor([0, 0, 0.1, 0.1])
            boxes = torch.full((len(rois), 8), 0.1)
            kept['rois'] = rois[:, 1:]
            kept['scores'] = scores.requires_grad_()
            kept['boxes'] = boxes.requires_grad_()
            return dict(cls_score=scores, bbox_pred=boxes)

        monkeypatch.setattr(head, '_bbox_forward', forward)
        proposals = InstanceData(bboxes=ROIS.clone())
        losses = head.loss((), [proposals], [sample_of(objects, ignored)])
        (loss,) = losses.values()
        loss.backward()
        # Several GPUs need a gradient of everything.
        assert kept['scores'].grad is not None
        assert kept['boxes'].grad is not None
        grad = kept['scores'].grad.view(-1, 2, 2)
        taught = (grad != 0).any(2).tolist()
        rois = list(map(tuple, kept['rois'].tolist()))
        boxes = kept['boxes'].grad.view(-1, 2, 4).abs().sum()
        return loss, dict(zip(rois, taught, strict=True)), boxes

    def test_predictions(self, heads, monkeypatch):
        plain, ours = heads
        pair = instances([SMALL, (400, 400, 440, 440)])
        before, taught, boxes = self.learned(
            plain, monkeypatch, pair, instances()
        )
        for nothing in (None, instances()):
            again, same_taught, same_boxes = self.learned(
                ours, monkeypatch, pair, nothing
            )
            assert torch.equal(before, again)
            assert taught == same_taught
            assert torch.equal(boxes, same_boxes)
        assert all(map(all, taught.values()))
        for objects in (pair, instances([SMALL])):
            _, taught, boxes = self.learned(
                ours, monkeypatch, objects, instances([LARGE], 80)
            )
            # Those like it are not taken; the object in front is learned.
            assert LARGE not in taught and (72, 72, 200, 160) not in taught
            assert taught[SMALL] == [True, True] and boxes > 0
            assert taught[76, 76, 100, 100] == [True, True]
            assert taught[300, 300, 400, 400] == [True, True]
            _, taught, boxes = self.learned(
                ours, monkeypatch, objects, instances([LARGE], -1)
            )
            # The second prediction of the object's RoI may find another one.
            assert taught[SMALL] == [True, False] and boxes > 0
            assert set(taught) >= {SMALL, (300, 300, 400, 400)}
            assert (76, 76, 100, 100) not in taught

    def test_without_an_object(self, heads, monkeypatch):
        _, taught, boxes = self.learned(
            heads[1], monkeypatch, instances(), instances()
        )
        assert len(taught) == len(ROIS) and all(map(all, taught.values()))
        assert boxes == 0
        ignored = instances([(0, 0, SIDE, SIDE)], -2)  # an image-level label
        loss, taught, _ = self.learned(
            heads[1], monkeypatch, instances(), ignored
        )
        assert loss == 0 and not taught
        # Without classes: of the first kind.
        ignored = InstanceData(bboxes=torch.tensor([LARGE]).float())
        _, taught, _ = self.learned(
            heads[1], monkeypatch, instances(), ignored
        )
        assert LARGE not in taught and SMALL in taught

    def test_which_object_a_prediction_is_for(self):
        """A RoI that is as near to an ignored object as to another one."""
        assigner = TASK_UTILS.build(
            dict(
                type='sniper_mmdet.RangeAwareMultiInstanceAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
            )
        )
        rois = InstanceData(priors=torch.tensor([[0.0, 0, 100, 100]]))
        objects = instances([(10, 0, 110, 100)])
        ignored = instances([(0, 10, 100, 110), (0, 0, 0, 0)], (0, -1))
        labels = assigner.assign(rois, objects, ignored).labels
        # The RoI, the object as one, and the ignored boxes.
        assert labels.tolist() == [[1, -1], [1, -1], [-1, -1], [-1, -1]]


#: Squares (x, y, side) of the masks that queries predict, and their batch of
#: padded images.
SQUARES = [(124, 124, 24), (72, 72, 128), (72, 72, 96), (300, 100, 96)]
HEIGHT, WIDTH = 256, 512


def masks_of(squares, stride):
    masks = torch.zeros(len(squares), HEIGHT // stride, WIDTH // stride)
    for mask, (x, y, side) in zip(masks, squares, strict=True):
        rows, columns = (
            slice(low // stride, (low + side) // stride) for low in (y, x)
        )
        mask[rows, columns] = 1
    return masks


@pytest.mark.parametrize('kind', ['MaskFormer', 'Mask2Former'])
def test_queries_of_masks(kind):
    base = 'ms-16xb1-75e' if kind == 'MaskFormer' else '8xb2-lsj-50e'
    model = model_of(f'{kind.lower()}/{kind.lower()}_r50_{base}_coco.py')
    cfg = model.panoptic_head
    cfg.num_things_classes, cfg.num_stuff_classes, cfg.num_queries = 3, 0, 5
    cfg.loss_cls.class_weight = [1.0] * 3 + [0.1]
    cfg = dict(cfg, train_cfg=model.train_cfg, test_cfg=None)
    plain, ours = (
        MODELS.build(dict(cfg, type=f'{name}{kind}Head'))
        for name in ('', 'sniper_mmdet.RangeAware')
    )
    size = dict(img_shape=(220, 410), batch_input_shape=(HEIGHT, WIDTH))

    def learned(head, objects, squares, ignored):
        """Losses, and the queries that learn a class, of two layers.

        Of two images with the same objects the second has ``ignored``.
        """
        scores = torch.zeros(2, 2, 5, 4, requires_grad=True)
        # The last query has no mask yet.
        masks = masks_of([*SQUARES, (0, 0, 0)], 4) * 8 - 4
        found = masks.expand(2, 2, -1, -1, -1)
        objects.masks = masks_of(squares, 1).long()
        samples = [sample_of(objects), sample_of(objects, ignored)]
        for sample in samples:
            sample.set_metainfo(size)
        head.forward = lambda *args: (scores, found.clone().requires_grad_())
        head.preprocess_gt = lambda batch, _: batch
        torch.manual_seed(0)
        losses = head.loss((), samples)
        (losses['loss_cls'] + losses['d0.loss_cls']).backward()
        assert torch.equal(scores.grad[0] != 0, scores.grad[1] != 0)
        first, second = (scores.grad[0] != 0).any(2)
        assert first.all()
        return losses, second.tolist()

    for squares in ([SQUARES[0]], []):
        objects = instances([SMALL] * len(squares), 1)
        before, places = learned(plain, objects, squares, None)
        assert all(places)
        for nothing in (None, instances()):
            again, places = learned(ours, objects, squares, nothing)
            same(before, again)
            assert all(places)
        found, places = learned(ours, objects, squares, instances([LARGE], 80))
        assert places == [True, False, False, True, True]
        assert torch.equal(before['loss_mask'], found['loss_mask'])
        # A region that nobody labelled: what lies in it may be an object.
        _, places = learned(ours, objects, squares, instances([LARGE], -1))
        assert places == [len(squares) > 0, False, False, True, True]


@pytest.mark.parametrize(
    'cfg',
    [
        dict(
            type='sniper_mmdet.RangeAwareCascadeRPNHead',
            num_classes=1,
            num_stages=1,
            stages=[dict(type='MyStage')],
            train_cfg=None,
            test_cfg=None,
        ),
        dict(
            type='sniper_mmdet.RangeAwareMultiInstanceRoIHead',
            bbox_head=dict(type='MyStage'),
        ),
    ],
)
def test_a_part_of_another_type_is_not_replaced(cfg):
    with pytest.raises(ValueError, match='must be .*Received: MyStage'):
        MODELS.build(cfg)
