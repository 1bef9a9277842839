# A small FCOS that trains on BCCD on a CPU.
_base_ = [
    'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    '../_base_/slim_bccd.py',
    '../_base_/schedules/slim.py',
]

model = dict(
    _base_.pyramid,
    detector='FCOS',
    backbone=dict(_base_.slim_backbone, style='pytorch'),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
    bbox_head=dict(
        type='sniper_mmdet.RangeAwareFCOSHead',
        num_classes=3,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
    ),
    test_cfg=_base_.level_nms,
)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
val_evaluator = dict(_base_.bccd_evaluator, _delete_=True)
test_evaluator = val_evaluator
custom_hooks = _base_.chip_hooks

train_cfg = dict(max_epochs=4, val_interval=4)
optim_wrapper = dict(_base_.slim_optimizer, _delete_=True)
param_scheduler = _base_.slim_schedule
