_base_ = [
    '../_base_/models/faster-rcnn_mobilenetv2_pyramid.py',
    '../_base_/datasets/coco_chips.py',
    '../_base_/schedules/sniper_7e_released.py',
    'mmdet::_base_/default_runtime.py',
]

# As released: 8 GPUs x 42 chips.
train_dataloader = dict(batch_size=42)
optim_wrapper = dict(optimizer=dict(lr=0.025))
_warmup, _drop = _base_.param_scheduler
param_scheduler = [
    dict(_warmup, start_factor=0.0005 / 0.025, end=9000),
    _drop,
]
auto_scale_lr = dict(base_batch_size=336)
