"""Weights of background, and what comes of them in RoI heads."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from annotated import instances
from mmdet.models.roi_heads.bbox_heads import SABLHead
from mmdet.models.task_modules import PseudoSampler
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import TASK_UTILS, init_default_scope
from mmengine.structures import InstanceData
from parity_folders import parity_folder
from tiny import plain_detector

from sniper_mmdet.models.roi_heads.soft_sampling_roi_head import soft_head
from sniper_mmdet.models.task_modules import known_objects, soft_weights
from sniper_mmdet.structures import UNSEEN

OWN = Path(__file__).parent
TRAIN = ConfigDict(pos_weight=-1)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    torch.manual_seed(0)


def sample_of(objects, ignored=None, **metainfo):
    sample = DetDataSample(metainfo=metainfo)
    sample.gt_instances = objects
    sample.ignored_instances = instances() if ignored is None else ignored
    return sample


def test_the_curve():
    overlaps = torch.tensor([0, 0.1, 0.2140, 0.3, 0.4999, 0.5, 1.08])
    found = soft_weights(overlaps)
    assert found[0] == pytest.approx(0.25, abs=1e-6)
    assert found[1] == pytest.approx(0.25 + 0.75 * 0.0011517, abs=1e-6)
    assert found[2] == pytest.approx(0.625, abs=1e-3)
    assert found[4] == pytest.approx(0.9983, abs=1e-4)
    assert found[5:].tolist() == [1, 1]
    assert (found.diff()[:-1] > 0).all()
    # Its settings: the floor, and where it rises.
    assert soft_weights(overlaps, a=0)[0] == pytest.approx(0, abs=1e-6)
    assert soft_weights(overlaps, a=1).eq(1).all()
    assert (soft_weights(overlaps, b=10) >= found).all()


@pytest.mark.parametrize('wrong', [dict(a=-0.1), dict(b=-1), dict(c=0)])
def test_settings_that_make_no_curve(wrong):
    with pytest.raises(ValueError, match='Received: a='):
        TASK_UTILS.build(dict(type='sniper_mmdet.OverlapWeights', **wrong))


def check_parity(folder):
    """The original's RoIs get its labels and weights, and ignore as it does.

    The assigner and the head do what a config of them does; sizes are read
    from the file.
    """
    data = np.load(Path(folder) / 'soft_sampling_targets.npz')
    rois, labels, weights = (
        torch.from_numpy(data[f'out.{name}']).float()
        for name in ('rois', 'label', 'label_weight')
    )
    assigner = TASK_UTILS.build(dict(type='sniper_mmdet.ReleasedSoftAssigner'))
    soft = dict(
        type='sniper_mmdet.OverlapWeights',
        iou_calculator=dict(type='sniper_mmdet.ReleasedOverlaps'),
    )
    classes = int(max(data['gt_boxes'][..., 4].max(), labels.max())) + 1
    head = soft_head(MODELS.get('BBoxHead'))(num_classes=classes)
    head.soft_weights = TASK_UTILS.build(soft)
    counts = dict(ignored=0, positive=0, background=0)
    for index, (boxes, groups) in enumerate(
        zip(data['gt_boxes'], data['crowd_boxes'], strict=True)
    ):
        own = rois[:, 0] == index
        boxes = boxes[boxes[:, 2] > 0]
        groups = groups[groups[:, 2] > 0]
        objects = instances(boxes[:, :4], torch.from_numpy(boxes[:, 4]).long())
        ignored = instances(groups[:, :4], -1)
        priors = InstanceData(priors=rois[own, 1:])
        assigned = assigner.assign(priors, objects, ignored)
        sampled = PseudoSampler().sample(assigned, priors, objects)
        head.samples = [sample_of(objects, ignored)]
        found, soft, *_ = head.get_targets([sampled], TRAIN)
        expected, theirs = labels[own, 0], weights[own, 0]
        # Ignored RoIs are in no loss.
        assert (assigned.gt_inds == -1).eq(expected == -1).all()
        order = torch.cat([sampled.pos_inds, sampled.neg_inds])
        found[found == classes] = 0  # background, theirs
        assert found.eq(expected[order]).all()
        torch.testing.assert_close(soft, theirs[order], atol=1e-6, rtol=0)
        every = head.soft_weights(priors.priors, objects.bboxes)
        torch.testing.assert_close(every, theirs, atol=1e-6, rtol=0)
        counts['ignored'] += int((expected == -1).sum())
        counts['positive'] += int((expected > 0).sum())
        counts['background'] += int((expected == 0).sum())
    assert counts['positive'] and counts['background']
    return counts


def test_soft_sampling_as_released():
    counts = check_parity(OWN)
    assert counts == dict(ignored=82, positive=30, background=488)


@pytest.mark.real_data
def test_soft_sampling_of_the_original():
    folder = parity_folder('rfcn3k')
    if not (folder / 'soft_sampling_targets.npz').is_file():
        pytest.skip(f'no soft_sampling_targets.npz in {folder}')
    check_parity(folder)


def test_an_iou_of_just_a_half_soft_sampling():
    """The original gives such a RoI to the first object of the image."""
    assigner = TASK_UTILS.build(
        dict(
            type='sniper_mmdet.ReleasedSoftAssigner',
            iou_calculator=dict(type='BboxOverlaps2D'),
        )
    )
    objects = instances([(0, 0, 4, 4), (100, 100, 120, 120)])
    objects.labels = torch.tensor([3, 5])
    priors = torch.tensor([(100.0, 100, 120, 110), (100, 100, 120, 111)])
    found = assigner.assign(InstanceData(priors=priors), objects)
    assert found.gt_inds.tolist() == [1, 2]
    assert found.labels.tolist() == [3, 5]


def test_released_overlaps():
    overlaps = TASK_UTILS.build(dict(type='sniper_mmdet.ReleasedOverlaps'))
    boxes = torch.tensor([(0.0, 0, 10, 10)])
    others = torch.tensor([(0.0, 0, 10, 10), (5, 5, 15, 15), (11, 0, 20, 9)])
    expected = [121 / (200 - 121), 36 / (200 - 36), 0]
    assert overlaps(boxes, others)[0].tolist() == pytest.approx(expected)
    share = overlaps(boxes, others, mode='iof')[0]
    assert share.tolist() == pytest.approx([121 / 101, 36 / 101, 0])
    with pytest.raises(ValueError, match="mode='giou'"):
        overlaps(boxes, others, mode='giou')


def test_what_says_where_objects_are():
    objects = instances([(0, 0, 10, 10)])
    others = instances([(20, 0, 30, 10), (40, 0, 50, 10)])
    others.labels = torch.tensor([2, -1])
    known = known_objects(objects, others, {})
    assert known.tolist() == [[0, 0, 10, 10]]  # crowds of a whole image
    # A chip ignores boxes that are objects, out of its range.
    known = known_objects(objects, others, dict(chip_range=(0, 5)))
    assert known.tolist() == [[0, 0, 10, 10], [20, 0, 30, 10]]
    flags = np.array([0, UNSEEN, 1])
    every = torch.cat([objects.bboxes, others.bboxes])
    unseen = dict(gt_bboxes=every, gt_ignore_flags=flags)
    known = known_objects(objects, None, unseen)
    assert known.tolist() == [[0, 0, 10, 10], [20, 0, 30, 10]]


def test_weights_by_the_scores_of_a_first_detector():
    weigh = TASK_UTILS.build(dict(type='sniper_mmdet.ScoreWeights'))
    known = torch.tensor([(0.0, 0, 10, 10)])
    boxes = torch.tensor(
        [
            (3.0, 0, 13, 10),  # near an object
            (100, 100, 120, 120),  # a sure detection
            (100, 100, 120, 105),  # IoU 0.25 with it
            (200, 200, 220, 220),  # an unsure one
            (300, 300, 310, 310),  # nothing
        ]
    )
    scored = torch.tensor(
        [
            (3.0, 0, 13, 10, 1),
            (100, 100, 120, 120, 1),
            (101, 100, 121, 120, 0.1),
            (200, 200, 220, 220, 0.786),
        ]
    )
    found = weigh(boxes, known, scored)
    assert found.tolist() == pytest.approx([1, 0.25, 1, 0.625, 1], abs=2e-3)
    assert weigh(boxes, known, scored[:0]).eq(1).all()
    with pytest.raises(ValueError, match='score_unlabelled.py'):
        weigh(boxes, known)


def detector(roi_type, **settings):
    cfg = plain_detector('faster-rcnn')
    roi = cfg.roi_head
    if 'Cascade' in roi_type:
        roi.update(num_stages=2, stage_loss_weights=[1, 0.5])
        roi.bbox_head.reg_class_agnostic = True
        roi.bbox_head = [copy.deepcopy(roi.bbox_head) for _ in range(2)]
        rcnn = cfg.train_cfg.rcnn
        cfg.train_cfg.rcnn = [rcnn, copy.deepcopy(rcnn)]
    if 'Decoupled' in roi_type:
        heads = roi.bbox_head
        for head in heads if isinstance(heads, list) else [heads]:
            head.update(
                type='sniper_mmdet.DecoupledBBoxHead', reg_class_agnostic=True
            )
    roi.update(type=roi_type, **settings)
    return MODELS.build(cfg).train()


def two_images(**metainfo):
    objects = [
        instances([(10, 10, 60, 60), (70, 70, 120, 110)], 1),
        instances([(20, 30, 90, 100)], 2),
    ]
    shape = dict(img_shape=(128, 128), pad_shape=(128, 128), **metainfo)
    return torch.randn(2, 3, 128, 128), [
        sample_of(one, **shape) for one in objects
    ]


def losses_of(model, roi_type=None):
    torch.manual_seed(1)
    losses = model.loss(*two_images())
    return {
        k: torch.as_tensor(v).sum()
        for k, v in losses.items()
        if 'rpn' not in k
    }


@pytest.mark.parametrize(
    'kind', ['Standard', 'Cascade', 'Decoupled', 'DecoupledCascade']
)
def test_only_the_classification_loss_of_background_is_cut(kind):
    soft_type = (
        f'sniper_mmdet.SoftSampling{kind.replace("Standard", "")}RoIHead'
    )
    scope = 'sniper_mmdet.' if 'Decoupled' in kind else ''
    plain = detector(f'{scope}{kind}RoIHead')
    whole = detector(soft_type, soft_sampling=dict(a=1.0))
    soft = detector(soft_type)
    off = detector(soft_type, soft_sampling=None)
    for other in (whole, soft, off):
        other.load_state_dict(plain.state_dict())
    expected, found = losses_of(plain), losses_of(soft)
    for same in (whole, off):
        for name, value in losses_of(same).items():
            torch.testing.assert_close(value, expected[name])
    for name, value in expected.items():
        stage = name.rpartition('.')[0]
        if name.endswith('loss_cls'):
            # Background is most of it, and no weight is below a quarter.
            assert 0.25 * value < found[name] < 0.9 * value
        # Later stages have the RoIs of the first, whose weights are alike.
        elif 'loss' in name:
            torch.testing.assert_close(found[name], value), stage
    # Nothing of a batch is kept.
    assert all(not head.samples for head in soft.roi_head._box_heads())
    copy.deepcopy(soft)


def test_the_loss_is_divided_by_the_number_of_rois():
    head = soft_head(MODELS.get('Shared2FCBBoxHead'))(num_classes=3)
    head.soft_weights = TASK_UTILS.build(
        dict(type='sniper_mmdet.OverlapWeights', a=0.0, b=500.0)
    )
    objects = instances([(0, 0, 10, 10)])
    priors = torch.tensor([(0.0, 0, 10, 10), (50, 50, 60, 60), (3, 0, 13, 10)])
    assigner = TASK_UTILS.build(dict(type='sniper_mmdet.ReleasedSoftAssigner'))
    told = InstanceData(priors=priors)
    sampled = PseudoSampler().sample(
        assigner.assign(told, objects), told, objects
    )
    head.samples = [sample_of(objects)]
    for concat in (True, False):
        targets = head.get_targets([sampled], TRAIN, concat=concat)
        weights = targets[1] if concat else targets[1][0]
        assert (weights > 0).all()
        assert weights[-1] < 1e-6 or weights[-2] < 1e-6
    logits = torch.zeros(3, 4)
    rois = torch.cat([torch.zeros(3, 1), sampled.priors], 1)
    targets = head.get_targets([sampled], TRAIN)
    found = head.loss(logits, None, rois, *targets)['loss_cls']
    expected = np.log(4) * targets[1].sum() / 3
    assert found.item() == pytest.approx(expected.item())


def test_heads_of_other_kinds():
    """SABL encodes boxes its own way; its weights are second all the same."""
    head = soft_head(SABLHead)(num_classes=3)
    head.soft_weights = TASK_UTILS.build(
        dict(type='sniper_mmdet.OverlapWeights')
    )
    objects = instances([(0, 0, 10, 10)])
    priors = torch.tensor([(0.0, 0, 10, 10), (50, 50, 60, 60)])
    assigner = TASK_UTILS.build(dict(type='sniper_mmdet.ReleasedSoftAssigner'))
    told = InstanceData(priors=priors)
    assigned = assigner.assign(told, objects)
    sampled = PseudoSampler().sample(assigned, told, objects)
    head.samples = [sample_of(objects)]
    weights = head.get_targets([sampled], TRAIN)[1]
    assert weights.tolist() == pytest.approx([1, 0.25])
