_base_ = [
    '../sniper/cascade-rcnn_r50_fpn_sniper_1x_coco.py',
    '../_base_/autofocus_fpn.py',
]

model = _base_.autofocus
# The detector's first map has stride 4.
model.focus_head.update(in_indices=(2, 1))

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
