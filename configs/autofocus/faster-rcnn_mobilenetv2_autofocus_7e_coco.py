_base_ = [
    '../sniper/faster-rcnn_mobilenetv2_sniper_7e_coco.py',
    '../_base_/autofocus_c4c5.py',
]

model = _base_.autofocus
model.focus_head.update(in_channels=1280, in_indices=(0,), stride=32)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
