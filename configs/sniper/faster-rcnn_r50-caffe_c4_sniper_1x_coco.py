_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py',
    '../_base_/any_detector.py',
]

model = dict(
    _base_.pyramid,
    detector='FasterRCNN',
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
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
