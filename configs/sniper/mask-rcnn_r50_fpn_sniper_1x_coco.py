_base_ = [
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    '../_base_/any_detector.py',
]

model = dict(
    _base_.pyramid,
    detector='MaskRCNN',
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='sniper_mmdet.RangeAwareAssigner', ignore_iou_thr=0.3
            )
        ),
        rcnn=dict(
            assigner=dict(
                type='sniper_mmdet.RangeAwareAssigner', ignore_iou_thr=0.5
            )
        ),
    ),
    test_cfg=dict(rpn=dict(max_per_img=300), rcnn=_base_.level_nms),
)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
train_dataloader['dataset']['pipeline'][1]['with_mask'] = True
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
