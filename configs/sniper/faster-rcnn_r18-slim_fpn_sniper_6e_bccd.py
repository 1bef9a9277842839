# BCCD (Shenggan/BCCD_Dataset), PASCAL VOC format: 640x480 blood smears, cells
# of about 100 and 200 px, platelets of 40 px. The evaluation is COCO's.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_pyramid.py',
    '../_base_/slim_bccd.py',
    '../_base_/schedules/adamw_slim.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(_base_.pyramid, roi_head=dict(bbox_head=dict(num_classes=3)))
train_dataloader = _base_.chip_dataloader
val_dataloader = dict(_base_.image_dataloader, num_workers=2)
test_dataloader = val_dataloader
val_evaluator = _base_.bccd_evaluator
test_evaluator = val_evaluator
custom_hooks = _base_.chip_hooks

train_cfg = dict(max_epochs=6, val_interval=6)
