"""A tiny detector with a decoupled head, and pictures to teach it."""

from pathlib import Path

import cv2
import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny import ROOT

#: A Faster R-CNN of mmdet whose classes are decoupled, on sample scenes.
_CONFIG = """
_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    '{root}/configs/_base_/models/decoupled.py',
]
_head = dict(
    _base_.decoupled_head, num_classes=4, in_channels=16, fc_out_channels=32)
model = dict(
    _base_.decoupled,
    backbone=dict(
        depth=18, base_channels=8, frozen_stages=-1, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        type='sniper_mmdet.DecoupledRoIHead',
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=_head),
)
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (160, 160)
_data = dict(
    type='sniper_mmdet.SampleDataset',
    data_root='{scenes}/',
    data_prefix=dict(img='images/'))
train_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(ann_file='train.json', **_data))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(ann_file='val.json', pipeline=test_pipeline, **_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='{scenes}/val.json')
test_evaluator = val_evaluator
"""
#: Classes to teach, and the colours of their pictures, BGR.
COLOURS = dict(blue=(220, 30, 30), lime=(30, 220, 60))


def write_config(path: Path, scenes: Path, more: str = '') -> Path:
    path.write_text(_CONFIG.format(root=ROOT, scenes=scenes) + more)
    return path


def write_checkpoint(config: Path, path: Path, classes=None) -> Path:
    """Random weights, and mean features as after training."""
    init_default_scope('mmdet')
    cfg = Config.fromfile(config)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    head = model.roi_head.bbox_head
    if hasattr(head, 'fine_means'):
        head.fine_means.uniform_(0, 0.1)
        head.fine_counts.fill_(9)
        head.fine_variance.fill_(1e-4)
    if classes is None:
        from sniper_mmdet.datasets import SampleDataset

        classes = SampleDataset.METAINFO['classes']
    meta = dict(dataset_meta=dict(classes=classes))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    return path


def write_pictures(folder: Path, colours: dict, num: int = 6) -> Path:
    """Noisy pictures of one colour a class, FOLDER/CLASS/N.png."""
    rng = np.random.default_rng(0)
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True)
        for k in range(num):
            noise = rng.integers(-9, 10, (64, 80, 3))
            image = np.uint8(np.clip(np.array(colour) + noise, 0, 255))
            cv2.imwrite(str(folder / name / f'{k}.png'), image)
    return folder
