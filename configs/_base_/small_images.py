# Plain mmdet on small, whole images: an ImageNet MobileNetV2 below the slim
# FPN. A config names the data, its classes and the scale.
_base_ = [
    './models/faster-rcnn_r18-slim_fpn_stock.py',
    './models/mobilenetv2_fpn.py',
    './datasets/stock_multi-scale.py',
    './schedules/adamw_pretrained.py',
    'mmdet::_base_/default_runtime.py',
]

model = _base_.mobilenetv2_fpn

_files = dict(data_prefix=dict(img='images/'))
train_dataloader = dict(dataset=dict(ann_file='train.json', **_files))
val_dataloader = dict(dataset=dict(ann_file='val.json', **_files))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=12, val_interval=12)
