"""Tiny detectors and data sets: what keeps tests of whole runs short."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_CONFIG = (
    ROOT / 'configs/sniper/faster-rcnn_r18-slim_fpn_sniper_2e_sample.py'
)

#: mmdet's base model configs, R18 of 8 channels, three classes.
_PLAIN = """
_base_ = 'mmdet::_base_/models/{name}_r50_fpn.py'
model = dict(
    backbone=dict(
        depth=18, base_channels=8, frozen_stages=-1, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16))
"""


def plain_detector(name: str) -> dict:
    """A tiny faster-rcnn, mask-rcnn or retinanet that finds many boxes."""
    model = Config.fromstring(_PLAIN.format(name=name), '.py').model
    if name == 'retinanet':
        model.bbox_head.update(
            num_classes=3, in_channels=16, feat_channels=16, stacked_convs=1
        )
        model.test_cfg.score_thr = 0
        return model
    model.rpn_head.update(in_channels=16, feat_channels=16)
    roi = model.roi_head
    roi.bbox_roi_extractor.out_channels = 16
    roi.bbox_head.update(num_classes=3, in_channels=16, fc_out_channels=32)
    if 'mask_head' in roi:
        roi.mask_roi_extractor.out_channels = 16
        roi.mask_head.update(
            num_classes=3, in_channels=16, conv_out_channels=16, num_convs=1
        )
    model.test_cfg.rcnn.score_thr = 0
    return model


def shrunk(cfg: Config) -> dict:
    """Options that make the detector of any config of this package tiny."""
    small = _small_released if _is_released(cfg) else _small_fpn
    options = {
        'backbone.init_cfg': None,
        'rpn_head.feat_channels': 16,
        'roi_head.bbox_head.in_channels': 16,
        'roi_head.bbox_head.fc_out_channels': 32,
        'test_cfg.rpn.max_per_img': 50,
        'test_cfg.rcnn.max_per_img': 20,
        **small(cfg),
    }
    options = {f'model.{key}': value for key, value in options.items()}
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        options[f'{loader}.num_workers'] = 0
        options[f'{loader}.persistent_workers'] = False
    options['train_dataloader.batch_size'] = 2
    return options


def _is_released(cfg: Config) -> bool:
    """Whether the network is one of the original's."""
    return cfg.model.get('neck') is None


def _small_fpn(cfg: Config) -> dict:
    widths = [8, 16, 32, 64]
    if cfg.model.backbone.depth > 34:
        widths = [4 * w for w in widths]
    options = {
        'backbone.base_channels': 8,
        'neck.in_channels': widths,
        'neck.out_channels': 16,
        'rpn_head.in_channels': 16,
        'roi_head.bbox_roi_extractor.out_channels': 16,
    }
    if 'focus_head' in cfg.model:
        options['focus_head.in_channels'] = 16 * len(
            cfg.model.focus_head.in_indices
        )
    return options


def _small_released(cfg: Config) -> dict:
    if 'depth' in cfg.model.backbone:
        options = {'backbone.depth': 50, 'backbone.base_channels': 8}
        widths = [128, 256]
    else:
        options = {'backbone.widen_factor': 0.25}
        widths = [1280]
    for head in ('rpn_head', 'roi_head', 'focus_head'):
        if head in cfg.model:
            options[f'{head}.in_channels'] = sum(
                widths[index] for index in cfg.model[head].in_indices
            )
    options['roi_head.out_channels'] = 16
    options['roi_head.bbox_roi_extractor.channels'] = 16
    if 'mask_head' in cfg.model.roi_head:
        options['roi_head.mask_roi_extractor.channels'] = 16
        options['roi_head.mask_head.in_channels'] = 16
        options['roi_head.mask_head.conv_out_channels'] = 16
    return options


def sample_options(**changes) -> dict:
    """Options for SAMPLE_CONFIG to run in a second on tiny scenes."""
    cfg = Config.fromfile(SAMPLE_CONFIG)
    return {
        **shrunk(cfg),
        'model.data_preprocessor.batch_augments.0.size': (96, 96),
        'model.scales': [0.5, 1.0],
        'model.valid_ranges': [(32, None), (0, 64)],
        'train_dataloader.dataset.scales': [0.5, 1.0],
        'train_dataloader.dataset.valid_ranges': [(40, None), (0, 48)],
        'train_dataloader.dataset.chip_size': 96,
        'train_dataloader.dataset.stride': (10, 12),
        'default_hooks.logger.interval': 1,
        'randomness.seed': 0,
        **changes,
    }


def cli(options: dict) -> list[str]:
    """Options as --cfg-options takes them."""
    return ['--cfg-options'] + [
        f'{key}={value}'.replace(' ', '') for key, value in options.items()
    ]


def make_scenes(folder: Path, train: int, val: int) -> Path:
    subprocess.run(
        [
            sys.executable,
            ROOT / 'tools/dataset_converters/make_sample_data.py',
            folder,
            '--train',
            str(train),
            '--val',
            str(val),
            '--size',
            '200',
            '260',
            '--objects',
            '3',
            '6',
            '--max-size',
            '80',
        ],
        check=True,
        capture_output=True,
    )
    return folder


def with_classes(source: Path, classes) -> dict:
    """An annotation file of scenes, classes renamed, boxes as masks."""
    coco = json.loads(source.read_text())
    coco['categories'] = [
        dict(id=i, name=name) for i, name in enumerate(classes, start=1)
    ]
    for ann in coco['annotations']:
        ann['category_id'] = 1 + ann['category_id'] % len(classes)
        x, y, w, h = ann['bbox']
        corners = [x, y, x + w, y, x + w, y + h, x, y + h]
        ann['segmentation'] = [corners]
    return coco


def write_voc(scenes: Path, folder: Path, splits: dict, classes) -> None:
    """Write scenes as PASCAL VOC, e.g. ``splits=dict(trainval='train')``."""
    for name in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
        (folder / name).mkdir(parents=True)
    for split, source in splits.items():
        coco = with_classes(scenes / f'{source}.json', classes)
        stems = []
        for img in coco['images']:
            stem = Path(img['file_name']).stem
            stems.append(stem)
            shutil.copy(
                scenes / 'images' / img['file_name'], folder / 'JPEGImages'
            )
            objects = ''
            for ann in coco['annotations']:
                if ann['image_id'] != img['id']:
                    continue
                x, y, w, h = ann['bbox']
                name = classes[ann['category_id'] - 1]
                # VOC counts pixels from 1, both ends included.
                objects += (
                    f'<object><name>{name}</name><difficult>0</difficult>'
                    f'<bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>'
                    f'<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox>'
                    '</object>'
                )
            (folder / f'Annotations/{stem}.xml').write_text(
                f'<annotation><size><width>{img["width"]}</width>'
                f'<height>{img["height"]}</height><depth>3</depth></size>'
                f'{objects}</annotation>'
            )
        (folder / f'ImageSets/Main/{split}.txt').write_text('\n'.join(stems))
