_base_ = [
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    '../_base_/any_detector.py',
]

model = dict(_base_.pyramid, detector='MaskRCNN', **_base_.two_stage)
# Masks are padded to the size of a chip with it.
model['data_preprocessor']['batch_augments'][0]['pad_mask'] = True
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
train_dataloader['dataset']['pipeline'][1]['with_mask'] = True
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
