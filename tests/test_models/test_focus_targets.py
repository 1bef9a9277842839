"""A focus head learns from all boxes of a chip, a detector from its own."""

import copy
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny import ROOT, shrunk
from zoo import ZOO, delta_of

from sniper_mmdet.registry import DATASETS, MODELS
from sniper_mmdet.sniperize.config import read_plain, sniperize
from sniper_mmdet.structures import annotated_boxes

pytestmark = pytest.mark.usefixtures('fast_configs')
AUTOFOCUS = ROOT / 'configs/autofocus'
#: Of each way to ignore a box.
DETECTORS = [
    'dino-4scale_r50_autofocus_12e_coco',
    'fcos_r50-caffe_fpn_gn-head_autofocus_1x_coco',
    'retinanet_r50_fpn_autofocus_1x_coco',
    'rtmdet_s_autofocus_300e_coco',
    'tood_r50_fpn_autofocus_1x_coco',
]
#: What a chip of any level shows: small, middling and large boxes, and a
#: crowd of each; some are cut by the borders of chips.
SIDES = [3, 9, 20, 45, 70, 100, 160, 260]
MODES = 'ignore', 'drop', 'keep'


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


@pytest.fixture(scope='module')
def ann_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    images = [dict(id=1, width=400, height=300, file_name='a')]
    annotations = []
    for side in SIDES * 3:
        number = len(annotations)
        x, y = rng.uniform(0, 1, 2) * (400 - side, 300 - side)
        annotations.append(
            dict(
                id=number + 1,
                image_id=1,
                category_id=1,
                bbox=[x, y, side, side],
                area=side**2,
                segmentation=[[x, y, x + side, y, x, y + side]],
                iscrowd=int(number % 11 == 0),
            )
        )
    path = tmp_path_factory.mktemp('boxes') / 'boxes.json'
    categories = [dict(id=1, name='thing')]
    content = dict(
        images=images, annotations=annotations, categories=categories
    )
    path.write_text(json.dumps(content))
    return str(path)


def blank(results):
    results['img'] = np.zeros((300, 400, 3), np.uint8)
    results['img_shape'] = results['ori_shape'] = (300, 400)
    return results


def chips_of(cfg, ann_file, mode=None, flip=1.0):
    """Samples of all chips that a config cuts of blank images.

    ``mode`` is in place of what the config says of boxes out of range.
    """
    data = copy.deepcopy(cfg.train_dataloader.dataset)
    data.dataset = dict(
        type='CocoDataset',
        ann_file=ann_file,
        metainfo=dict(classes=('thing',)),
        data_prefix=dict(img='images'),
        filter_cfg=dict(filter_empty_gt=False),
    )
    steps = [s for s in data.pipeline if 'LoadImage' not in s.type]
    for step in steps:
        if 'RandomFlip' in step.type:
            step.prob = flip
        if mode:
            step.pop('out_of_range', None)
    data.pipeline = [blank, *steps]
    if mode:
        data.out_of_range = mode
    data = DATASETS.build(data)
    return [data[row]['data_samples'] for row in data.mine(0, 0)]


def targets_of(cfg, samples):
    head = MODELS.build(cfg.model.focus_head)
    side = -(-cfg.train_dataloader.dataset.chip_size // head.stride)
    return head.targets(samples, (side, side))


@pytest.mark.parametrize(
    'name',
    [
        DETECTORS[1],
        'faster-rcnn_r18-slim_fpn_autofocus_20e_aerial-cars',
        'mask-rcnn_r101-dcn_c4c5_autofocus_7e_coco',
    ],
)
def test_targets_are_the_same_whatever_the_detector_trains(name, ann_file):
    cfg = Config.fromfile(AUTOFOCUS / f'{name}.py')
    samples = [chips_of(cfg, ann_file, mode) for mode in (None, *MODES)]
    own, ignore, drop, keep = (targets_of(cfg, chips) for chips in samples)
    assert (ignore == 1).any() and (ignore == 0).any()
    assert torch.equal(own, ignore) and torch.equal(drop, ignore)
    if cfg.model.focus_head.get('precedence') != 'last':
        # Else, those that are ignored come last.
        assert torch.equal(keep, ignore)
    few, many = (
        sum(len(s.gt_instances) for s in chips) for chips in samples[2:]
    )
    assert few < many


def test_targets_are_the_same_for_all_detectors_of_coco(ann_file):
    found = [Config.fromfile(AUTOFOCUS / f'{name}.py') for name in DETECTORS]
    for cfg in found:
        assert 'out_of_range' not in cfg.train_dataloader.dataset
    found = [targets_of(cfg, chips_of(cfg, ann_file)) for cfg in found]
    assert (found[0] == 1).any()
    for targets in found:
        assert torch.equal(targets, found[0])


@pytest.mark.parametrize(
    'base',
    [
        'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
        'vfnet/vfnet_r50_fpn_1x_coco.py',
    ],
)
def test_targets_of_what_is_written_for_another_config(base, ann_file):
    path = str(ZOO / base)
    cfg = delta_of(sniperize(read_plain(path), path, autofocus=True)[0])
    own, ignore = (
        targets_of(cfg, chips_of(cfg, ann_file, mode))
        for mode in (None, 'ignore')
    )
    assert torch.equal(own, ignore) and (own == 1).any()


@pytest.mark.parametrize('flip', [0.0, 1.0])
def test_the_detector_sees_none_that_is_dropped(ann_file, flip):
    cfg = Config.fromfile(AUTOFOCUS / f'{DETECTORS[1]}.py')
    dropped, ignored = (
        chips_of(cfg, ann_file, mode, flip) for mode in ('drop', 'ignore')
    )
    for ours, theirs in zip(dropped, ignored, strict=True):
        all_boxes = annotated_boxes(theirs)
        assert (annotated_boxes(ours) == all_boxes).all()
        for key in ('bboxes', 'labels'):
            pair = (s.gt_instances[key] for s in (ours, theirs))
            ours_, theirs_ = (getattr(v, 'tensor', v) for v in pair)
            assert torch.equal(ours_, theirs_)
        # Crowds stay what they are.
        others = theirs.ignored_instances
        others = others.bboxes[others.labels == -1].tensor
        assert torch.equal(ours.ignored_instances.bboxes.tensor, others)


def test_losses_of_the_detector_are_those_of_a_sample_without(ann_file):
    cfg = Config.fromfile(AUTOFOCUS / f'{DETECTORS[1]}.py')
    cfg.merge_from_dict(shrunk(cfg))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    samples = chips_of(cfg, ann_file, 'drop')[:4]
    inputs = [torch.rand(3, *s.img_shape) for s in samples]
    losses = []
    for told in (True, False):
        given = copy.deepcopy(samples)
        for sample in given:
            assert 'gt_bboxes' in sample.metainfo_keys()
            if not told:
                del sample.gt_bboxes, sample.gt_ignore_flags
        data = dict(inputs=inputs, data_samples=given)
        data = model.data_preprocessor(data, True)
        losses.append(model(**data, mode='loss'))
    for key, loss in losses[0].items():
        assert torch.equal(loss, losses[1][key]) == (key != 'loss_focus')
