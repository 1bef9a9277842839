# The quick start: it trains from random weights in minutes on two CPU cores.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_pyramid.py',
    '../_base_/datasets/sample_chips.py',
    '../_base_/schedules/adamw_slim.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(
    scales=[(-1, 512), 0.75, 1.5],
    valid_ranges=[(64, None), (22, 128), (0, 44)],
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(192, 192))]
    ),
    rpn_head=dict(anchor_generator=dict(scales=[4])),
    roi_head=dict(bbox_head=dict(num_classes=4)),
)
