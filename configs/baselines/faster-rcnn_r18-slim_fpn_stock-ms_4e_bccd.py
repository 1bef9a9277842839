# A baseline of SNIPER: the same detector in plain mmdet, trained on whole
# images, resized at random, and tested at the middle scale.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_stock.py',
    '../_base_/slim_bccd.py',
    '../_base_/schedules/adamw_slim.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=3)))
train_dataloader = _base_.stock_dataloader
val_dataloader = _base_.stock_test_dataloader
test_dataloader = val_dataloader
val_evaluator = _base_.bccd_evaluator
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=4, val_interval=4)
