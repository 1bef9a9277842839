_base_ = [
    '../sniper/rtmdet_s_sniper_300e_coco.py',
    '../_base_/autofocus_fpn.py',
]

model = _base_.autofocus
model.focus_head.update(in_channels=256)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
