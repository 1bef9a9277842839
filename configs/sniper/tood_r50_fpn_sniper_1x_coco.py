_base_ = [
    'mmdet::tood/tood_r50_fpn_1x_coco.py',
    '../_base_/any_detector.py',
]

model = dict(
    _base_.pyramid,
    detector='TOOD',
    # Background is ignored if its predicted box, or in the first epochs its
    # anchor, resembles an ignored box.
    train_cfg=dict(
        initial_assigner=dict(
            type='sniper_mmdet.RangeAwareATSSAssigner', ignore_iou_thr=0.3
        ),
        assigner=dict(
            type='sniper_mmdet.RangeAwareTaskAlignedAssigner',
            ignore_iou_thr=0.3,
        ),
    ),
    test_cfg=_base_.level_nms,
)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
