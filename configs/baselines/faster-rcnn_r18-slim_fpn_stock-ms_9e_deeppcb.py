# A baseline of SNIPER: the same detector in plain mmdet, trained on whole
# images, resized at random, and tested at the middle scale.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_stock.py',
    '../_base_/datasets/stock_multi-scale.py',
    '../_base_/schedules/adamw_slim.py',
    'mmdet::_base_/default_runtime.py',
]

data_root = 'data/deeppcb/'
_data = dict(
    type='sniper_mmdet.DeepPCBDataset',
    data_root=data_root,
    data_prefix=dict(img='images/'),
)

model = dict(roi_head=dict(bbox_head=dict(num_classes=6)))

train_dataloader = dict(dataset=dict(ann_file='train.json', **_data))
val_dataloader = dict(dataset=dict(ann_file='val.json', **_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=9, val_interval=9)
