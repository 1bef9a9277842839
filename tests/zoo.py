"""MMDetection's configs, a user's of their own, and what is written."""

from pathlib import Path

import mmdet
from mmengine.config import Config

ZOO = Path(mmdet.__file__).parent / '.mim/configs'

PLAIN = """
data = dict(
    type='CocoDataset',
    metainfo=dict(classes=('cat', )),
    data_root='data/mine/',
    ann_file='a.json',
    filter_cfg=dict(filter_empty_gt=True, min_size=8),
    pipeline=[
        dict(type='LoadImageFromFile', to_float32=True, backend_args=None),
        dict(type='LoadAnnotations', with_bbox=True)])
train_dataloader = dict(
    batch_size=3,
    num_workers=0,
    pin_memory=True,
    sampler=dict(type='ClassAwareSampler'),
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type='ConcatDataset',
            datasets=[
                dict(type='RepeatDataset', times=2, dataset=data),
                dict(
                    type='ClassBalancedDataset',
                    oversample_thr=0.1,
                    dataset=data)]),
        pipeline=[
            dict(type='Mosaic', img_scale=(64, 64)),
            dict(
                type='RandomChoice',
                transforms=[[dict(type='Resize')], [dict(type='RandomCrop')]]),
            dict(
                type='RandomApply',
                transforms=[dict(type='PhotoMetricDistortion')]),
            dict(type='MyFog'),
            dict(type='RandomFlip', prob=0.3, direction=['vertical']),
            dict(type='PackDetInputs', meta_keys=('img_id', 'mine'))]))
test_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(type='MyFog'),
    dict(type='Resize', scale=(99, 99), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'scale_factor', 'mine'))]
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        type='ConcatDataset',
        datasets=[dict(data, pipeline=test_pipeline) for _ in range(2)]))
test_dataloader = dict(
    batch_size=1, dataset=dict(data, pipeline=test_pipeline))
val_evaluator = [dict(type='CocoMetric', ann_file='a.json')]
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=900, val_interval=90)
custom_hooks = [
    dict(type='YOLOXModeSwitchHook', num_last_epochs=15),
    dict(type='EMAHook')]
tta_model = dict(type='DetTTAModel')
data_preprocessor = dict(
    type='DetDataPreprocessor',
    pad_size_divisor=64,
    batch_augments=[dict(type='BatchSyncRandomResize')])
model = dict(
    type='RetinaNet',
    backbone=dict(type='ResNet', depth=18, norm_cfg=dict(type='SyncBN')),
    neck=dict(
        type='FPN',
        in_channels=[64, 128, 256, 512],
        out_channels=64,
        start_level=3,
        add_extra_convs='on_input',
        num_outs=2),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=80,
        in_channels=64,
        anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[1.0],
            strides=[32, 64])),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=(0.1, 0.4))),
    test_cfg=dict(
        score_thr=0.0,
        nms=dict(type='soft_nms', iou_threshold=0.5, min_score=0.1),
        max_per_img=1000))
"""


def delta_of(text, **options):
    """The config that a user's text becomes, and its notes."""
    cfg = Config.fromstring(text, '.py')
    cfg.merge_from_dict(options)
    return cfg
