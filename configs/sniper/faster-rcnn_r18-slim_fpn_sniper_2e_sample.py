# The quick start: from random weights in minutes on two CPU cores.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_pyramid.py',
    '../_base_/datasets/sample_chips.py',
    '../_base_/schedules/adamw_slim.py',
    'mmdet::_base_/default_runtime.py',
]

max_epochs = 2

model = dict(
    scales=[(-1, 512), 0.75, 1.5],
    valid_ranges=[(64, None), (22, 128), (0, 44)],
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(192, 192))]
    ),
    rpn_head=dict(anchor_generator=dict(scales=[4])),
    roi_head=dict(bbox_head=dict(num_classes=4)),
)

train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=0.02,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
