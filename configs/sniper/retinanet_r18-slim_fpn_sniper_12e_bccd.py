_base_ = '../baselines/retinanet_r18-slim_fpn_stock-ms_8e_bccd.py'

model = dict(
    _base_.pyramid,
    detector='RetinaNet',
    train_cfg=dict(
        assigner=dict(
            type='sniper_mmdet.RangeAwareAssigner', ignore_iou_thr=0.4
        )
    ),
    test_cfg=_base_.level_nms,
)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks

train_cfg = dict(max_epochs=12, val_interval=12)
