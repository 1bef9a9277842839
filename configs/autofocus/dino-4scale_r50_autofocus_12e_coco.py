_base_ = [
    '../sniper/dino-4scale_r50_sniper_12e_coco.py',
    '../_base_/autofocus_fpn.py',
]

model = _base_.autofocus

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
