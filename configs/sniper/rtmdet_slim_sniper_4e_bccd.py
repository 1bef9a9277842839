# A small RTMDet that trains on BCCD on a CPU.
_base_ = [
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    '../_base_/slim_bccd.py',
    '../_base_/schedules/slim.py',
]

model = dict(
    _base_.pyramid,
    detector='RTMDet',
    backbone=dict(widen_factor=0.25, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256], out_channels=64),
    # With random weights, boxes start with sides of two strides.
    bbox_head=dict(
        num_classes=3, in_channels=64, feat_channels=64, exp_on_reg=True
    ),
    train_cfg=dict(
        assigner=dict(
            type='sniper_mmdet.RangeAwareDynamicSoftLabelAssigner',
            ignore_iou_thr=0.3,
        )
    ),
    test_cfg=_base_.level_nms,
)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
val_evaluator = dict(_base_.bccd_evaluator, _delete_=True)
test_evaluator = val_evaluator
custom_hooks = _base_.chip_hooks

train_cfg = dict(max_epochs=4, val_interval=4, dynamic_intervals=None)
optim_wrapper = dict(_base_.slim_optimizer, _delete_=True)
param_scheduler = _base_.slim_schedule
