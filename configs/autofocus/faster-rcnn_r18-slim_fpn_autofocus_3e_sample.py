# This trains from random weights in minutes on two CPU cores. Scales are
# factors, so that scenes of any size can be tested.
_base_ = '../sniper/faster-rcnn_r18-slim_fpn_sniper_2e_sample.py'

_scales = [0.375, 0.75, 1.5]

model = dict(
    type='sniper_mmdet.AutoFocus',
    scales=_scales,
    max_proposals=100,
    # A fine level is for objects of up to 40 chip pixels at the level before.
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        in_channels=128,
        in_indices=(2, 1),
        stride=16,
        feat_channels=64,
        sizes=(3, 40, 60),
        loss_weight=4.0,
    ),
    # The thresholds come from the curve of other scenes than those of
    # docs/benchmarks.md.
    focus=[
        dict(threshold=0.001, dilation=3, min_size=96),
        dict(threshold=0.01, dilation=3, min_size=128),
    ],
)
train_dataloader = dict(dataset=dict(scales=_scales))
train_cfg = dict(max_epochs=3, val_interval=3)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
