_base_ = '../sniper/faster-rcnn_r50-caffe_c4_sniper_1x_coco.py'

model = dict(
    type='sniper_mmdet.AutoFocus',
    # As released; SNIPER's own ends at 90.
    valid_ranges=[(75, None), (32, 180), (0, 75)],
    features='backbone',
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        in_channels=1024,
        in_indices=(0,),
        stride=16,
    ),
)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
