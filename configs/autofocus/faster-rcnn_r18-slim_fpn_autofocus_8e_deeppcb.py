# A coarse level predicts FocusPixels, and a level finer than SNIPER's uses the
# pixels that they save.
_base_ = '../sniper/faster-rcnn_r18-slim_fpn_sniper_13e_deeppcb.py'

_scales = [0.5, 1.0, 2.0]

model = dict(
    type='sniper_mmdet.AutoFocus',
    max_proposals=100,
    scales=_scales,
    valid_ranges=[(72, None), (40, 96), (0, 56)],
    # Defects have 22-70 px; those below 44 px are for the finest level. Cells
    # have 8 px, so that FocusChips are little larger than a defect.
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        in_channels=128,
        in_indices=(1, 2),
        stride=8,
        feat_channels=64,
        sizes=(3, 44, 64),
    ),
    focus=[
        dict(threshold=0.1, dilation=3, min_size=64),
        dict(threshold=0.3, dilation=3, min_size=96),
    ],
)
train_dataloader = dict(
    dataset=dict(scales=_scales, valid_ranges=[(40, None), (28, 72), (0, 52)])
)
train_cfg = dict(max_epochs=8, val_interval=8)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
