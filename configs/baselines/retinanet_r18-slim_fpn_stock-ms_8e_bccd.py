# A baseline of SNIPER: a small RetinaNet in plain MMDetection, trained on
# whole images, resized at random, and tested at the middle scale.
_base_ = [
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    '../_base_/slim_bccd.py',
    '../_base_/schedules/slim.py',
]

model = dict(
    backbone=_base_.slim_backbone,
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
    bbox_head=dict(
        num_classes=3, in_channels=64, feat_channels=64, stacked_convs=2
    ),
    test_cfg=dict(score_thr=0.001, max_per_img=200),
)
train_dataloader = dict(_base_.stock_dataloader, _delete_=True)
val_dataloader = dict(_base_.stock_test_dataloader, _delete_=True)
test_dataloader = val_dataloader
val_evaluator = dict(_base_.bccd_evaluator, _delete_=True)
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=8, val_interval=8)
optim_wrapper = dict(_base_.slim_optimizer, _delete_=True)
param_scheduler = _base_.slim_schedule
