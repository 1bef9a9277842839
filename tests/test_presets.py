"""The released settings are the same in the package and in the configs."""

from dataclasses import asdict
from inspect import signature

import pytest
from mmengine.config import Config
from tiny import ROOT

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.chips.presets import (
    LEVEL_NMS,
    RELEASED_AUTOFOCUS_TEST,
    RELEASED_COCO,
    RELEASED_COCO_TEST,
    RELEASED_FOCUS,
)
from sniper_mmdet.chips.settings import FocusSettings
from sniper_mmdet.datasets import ChipDataset
from sniper_mmdet.sniperize.detector import DIVISOR
from sniper_mmdet.sniperize.ignoring import IGNORE_IOU

BASE = ROOT / 'configs/_base_'
PYRAMIDS = [
    'any_detector.py',
    'models/faster-rcnn_r50_fpn_pyramid.py',
    'models/faster-rcnn_r101-dcn_c4c5_pyramid.py',
]
pytestmark = pytest.mark.usefixtures('fast_configs')


def pyramid_of(cfg):
    return ImagePyramid(cfg.scales, cfg.valid_ranges)


def test_chips():
    chips = Config.fromfile(BASE / 'datasets/chips.py').chip_dataloader.dataset
    assert pyramid_of(chips) == RELEASED_COCO.pyramid
    assert chips.chip_size == RELEASED_COCO.chip_size
    defaults = signature(ChipDataset).parameters
    for name in ('stride', 'min_side'):
        released = getattr(RELEASED_COCO, name)
        assert chips.get(name, defaults[name].default) == released


@pytest.mark.parametrize('path', PYRAMIDS)
def test_levels(path):
    cfg = Config.fromfile(BASE / path)
    model = cfg.get('pyramid') or cfg.model
    assert pyramid_of(model) == RELEASED_COCO_TEST
    (pad,) = model.data_preprocessor.batch_augments
    assert pad.size == (RELEASED_COCO.chip_size,) * 2
    divisor = model.data_preprocessor.pad_size_divisor
    assert divisor == DIVISOR


def test_nms_of_a_level():
    found = Config.fromfile(BASE / 'any_detector.py')
    assert found.level_nms == LEVEL_NMS
    for two_stage in (
        found.two_stage,
        Config.fromfile(BASE / PYRAMIDS[1]).model,
    ):
        rcnn, rpn = two_stage.test_cfg.rcnn, two_stage.test_cfg.rpn
        assert {key: rcnn[key] for key in LEVEL_NMS} == LEVEL_NMS
        assert rpn.max_per_img == LEVEL_NMS['max_per_img']
        assigner = two_stage.train_cfg.rpn.assigner
        assert assigner.ignore_iou_thr == IGNORE_IOU


@pytest.mark.parametrize('name', ['fpn', 'c4c5'])
def test_focus(name):
    model = Config.fromfile(BASE / f'autofocus_{name}.py').autofocus
    levels = ImagePyramid(RELEASED_COCO_TEST.scales, model.valid_ranges)
    assert levels == RELEASED_AUTOFOCUS_TEST
    steps = [asdict(FocusSettings(**step)) for step in model.focus]
    assert steps == [asdict(step) for step in RELEASED_FOCUS]
