# The detector of large_images_chips.py, trained by mmdet on slices.
_base_ = [
    './models/faster-rcnn_r18-slim_fpn_stock.py',
    './models/mobilenetv2_fpn.py',
    './datasets/stock_slices.py',
    './schedules/adamw_pretrained.py',
    'mmdet::_base_/default_runtime.py',
]

model = _base_.mobilenetv2_fpn
