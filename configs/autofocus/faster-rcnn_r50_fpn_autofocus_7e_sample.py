_base_ = '../sniper/faster-rcnn_r50_fpn_sniper_7e_sample.py'

_scales = [0.375, 0.75, 1.5]

model = dict(
    type='sniper_mmdet.AutoFocus',
    scales=_scales,
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        # FPN levels of strides 16 and 8.
        in_channels=512,
        in_indices=(2, 1),
        stride=16,
        sizes=(3, 40, 60),
    ),
    focus=[
        dict(threshold=0.0025, dilation=3, min_size=96),
        dict(threshold=0.01, dilation=3, min_size=128),
    ],
)
train_dataloader = dict(dataset=dict(scales=_scales))

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
