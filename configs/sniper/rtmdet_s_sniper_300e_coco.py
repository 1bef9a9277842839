_base_ = [
    'mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py',
    '../_base_/any_detector.py',
]

model = dict(
    _base_.pyramid,
    detector='RTMDet',
    # Background is ignored if its predicted box resembles an ignored box.
    train_cfg=dict(
        assigner=dict(
            type='sniper_mmdet.RangeAwareDynamicSoftLabelAssigner',
            ignore_iou_thr=0.3,
        )
    ),
    test_cfg=_base_.level_nms,
)
# 16 chips per GPU. The learning rate, 0.004, is that of a batch of 256: scale
# it to yours.
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
train_dataloader['dataset'].update(
    pipeline=[
        dict(type='sniper_mmdet.LoadImageByWindow'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='sniper_mmdet.CutChip'),
        dict(type='YOLOXHSVRandomAug'),
        dict(type='RandomFlip', prob=0.5),
        _base_.pack_chip,
    ],
)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
# The hook for averaged weights stays; there are no pipelines to switch.
_average, _switch = _base_.custom_hooks
custom_hooks = [*_base_.chip_hooks, _average]
