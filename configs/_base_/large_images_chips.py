# SNIPER on large images with few small objects: an ImageNet MobileNetV2 below
# the slim FPN, and random colours. A config names the data, levels, ranges and
# chips.
_base_ = [
    './models/faster-rcnn_r18-slim_fpn_pyramid.py',
    './models/mobilenetv2_fpn.py',
    './datasets/coco_chips.py',
    './schedules/adamw_pretrained.py',
    'mmdet::_base_/default_runtime.py',
]

model = _base_.mobilenetv2_fpn

train_pipeline = _base_.train_pipeline
train_pipeline.insert(-1, dict(type='PhotoMetricDistortion'))
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
