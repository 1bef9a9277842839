# Small images, whole: an ImageNet MobileNetV2 below the slim FPN, as mmdet
# trains it. A config names the data, its classes and the scale.
_base_ = [
    './models/faster-rcnn_r18-slim_fpn_stock.py',
    './models/mobilenetv2_fpn.py',
    './datasets/stock_multi-scale.py',
    './schedules/adamw_pretrained.py',
    'mmdet::_base_/default_runtime.py',
]

model = _base_.mobilenetv2_fpn
