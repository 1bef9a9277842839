_base_ = [
    'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    '../_base_/any_detector.py',
]

model = dict(
    _base_.pyramid,
    detector='FCOS',
    # Points that an ignored box would choose are ignored.
    bbox_head=dict(type='sniper_mmdet.RangeAwareFCOSHead'),
    test_cfg=_base_.level_nms,
)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
