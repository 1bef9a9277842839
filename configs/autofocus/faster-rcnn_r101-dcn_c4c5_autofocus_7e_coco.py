_base_ = [
    '../sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco.py',
    '../_base_/autofocus_c4c5.py',
]

model = _base_.autofocus

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
