_base_ = '../sniper/faster-rcnn_mobilenetv2_sniper_7e_coco.py'

model = dict(
    type='sniper_mmdet.AutoFocus',
    # As released; SNIPER's own ends at 90.
    valid_ranges=[(75, None), (32, 180), (0, 75)],
    features='backbone',
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        in_channels=1280,
        in_indices=(0,),
        stride=32,
        precedence='last',
    ),
)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
