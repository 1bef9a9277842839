_base_ = '../sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_voc0712.py'

model = dict(
    type='sniper_mmdet.AutoFocus',
    # As released; SNIPER's own ends at 90.
    valid_ranges=[(75, None), (32, 180), (0, 75)],
    features='backbone',
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        in_channels=3072,
        in_indices=(0, 1),
        stride=16,
        precedence='last',
    ),
)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
