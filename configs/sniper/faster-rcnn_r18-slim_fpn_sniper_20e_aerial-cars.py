# Cars from the air, in COCO format: frames of 1920x1080 with cars of 50 px and
# smaller ones with cars of 25 px.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_pyramid.py',
    '../_base_/datasets/coco_chips.py',
    '../_base_/schedules/adamw_slim.py',
    'mmdet::_base_/default_runtime.py',
]

data_root = 'data/aerial_cars/'
_data = dict(
    type='sniper_mmdet.AerialCarsDataset',
    data_root=data_root,
    data_prefix=dict(img='images/'),
)

model = dict(
    scales=[0.5, 1.0, 2.0],
    valid_ranges=[(60, None), (28, 90), (0, 44)],
    roi_head=dict(bbox_head=dict(num_classes=1)),
)

# The training scenes are few, and no direction is up.
train_pipeline = [
    dict(type='sniper_mmdet.LoadImageByWindow'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='sniper_mmdet.CutChip'),
    dict(
        type='RandomFlip',
        prob=[0.25, 0.25, 0.25],
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        scales=[0.5, 1.0, 2.0],
        valid_ranges=[(44, None), (24, 80), (0, 56)],
        chip_size=256,
        stride=(28, 32),
        pipeline=train_pipeline,
        dataset=dict(ann_file='train.json', **_data),
    ),
)
val_dataloader = dict(dataset=dict(ann_file='val.json', **_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=20, val_interval=20)
