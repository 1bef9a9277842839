_base_ = '../sniper/faster-rcnn_r18-slim_fpn_sniper_6e_bccd.py'

model = dict(
    type='sniper_mmdet.AutoFocus',
    # The fine level is for platelets, of up to 48 chip pixels at the coarse
    # level.
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        in_channels=128,
        in_indices=(2, 1),
        stride=16,
        feat_channels=64,
        sizes=(3, 48, 72),
    ),
    focus=[dict(threshold=0.02, dilation=3, min_size=128)],
)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
