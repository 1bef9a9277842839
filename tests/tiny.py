"""Tiny detectors and data sets: what keeps tests of whole runs short."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from mmengine.config import Config
from shrink import shrunk

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_CONFIG = (
    ROOT / 'configs/sniper/faster-rcnn_r18-slim_fpn_sniper_2e_sample.py'
)

#: Options: chips and levels of tiny scenes.
SMALL = {
    'model.data_preprocessor.batch_augments.0.size': (96, 96),
    'model.scales': [0.5, 1.0],
    'model.valid_ranges': [(32, None), (0, 64)],
    'train_dataloader.dataset.scales': [0.5, 1.0],
    'train_dataloader.dataset.valid_ranges': [(40, None), (0, 48)],
    'train_dataloader.dataset.chip_size': 96,
    'train_dataloader.dataset.stride': (10, 12),
}
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


def sample_options(**changes) -> dict:
    """Options for SAMPLE_CONFIG to run in a second on tiny scenes."""
    cfg = Config.fromfile(SAMPLE_CONFIG)
    return {
        **shrunk(cfg),
        **SMALL,
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
