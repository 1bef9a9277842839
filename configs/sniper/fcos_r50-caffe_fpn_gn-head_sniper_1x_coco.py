_base_ = [
    'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    '../_base_/any_detector.py',
]

model = dict(_base_.pyramid, detector='FCOS', test_cfg=_base_.level_nms)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
# It has no way to ignore a box: one that a chip does not train is background
# there.
train_dataloader['dataset'].update(out_of_range='drop')
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
