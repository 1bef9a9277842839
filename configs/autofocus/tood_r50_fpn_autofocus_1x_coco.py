_base_ = [
    '../sniper/tood_r50_fpn_sniper_1x_coco.py',
    '../_base_/autofocus_fpn.py',
]

model = _base_.autofocus

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
