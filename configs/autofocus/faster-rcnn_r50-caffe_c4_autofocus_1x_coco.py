_base_ = [
    '../sniper/faster-rcnn_r50-caffe_c4_sniper_1x_coco.py',
    '../_base_/autofocus_fpn.py',
]

model = _base_.autofocus
model.update(features='backbone')
model.focus_head.update(in_indices=(0,), in_channels=1024)

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
