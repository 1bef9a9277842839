_base_ = [
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    '../_base_/any_detector.py',
]

model = dict(_base_.pyramid, detector='MaskRCNN', **_base_.two_stage)
# Masks are padded to the size of a chip, too.
_pad = dict(type='BatchFixedSizePad', size=(512, 512), pad_mask=True)
model['data_preprocessor'].update(batch_augments=[_pad])
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
train_dataloader['dataset'].update(pipeline=_base_.mask_chip_pipeline)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
