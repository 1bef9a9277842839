_base_ = '../sniper/dino-4scale_r50_sniper_12e_coco.py'

model = dict(
    type='sniper_mmdet.AutoFocus',
    # As released; SNIPER's own ends at 90.
    valid_ranges=[(75, None), (32, 180), (0, 75)],
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        # Maps of strides 16 and 8.
        in_channels=512,
        in_indices=(1, 0),
        stride=16,
    ),
)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
