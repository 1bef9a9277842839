_base_ = [
    'mmdet::atss/atss_r50_fpn_1x_coco.py',
    '../_base_/any_detector.py',
]

model = dict(
    _base_.pyramid,
    detector='ATSS',
    # Background anchors that resemble an ignored box are ignored.
    train_cfg=dict(
        assigner=dict(
            type='sniper_mmdet.RangeAwareATSSAssigner', ignore_iou_thr=0.3
        )
    ),
    test_cfg=_base_.level_nms,
)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
