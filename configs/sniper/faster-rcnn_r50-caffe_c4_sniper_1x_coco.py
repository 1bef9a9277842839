_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py',
    '../_base_/any_detector.py',
]

model = dict(_base_.pyramid, detector='FasterRCNN', **_base_.two_stage)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
