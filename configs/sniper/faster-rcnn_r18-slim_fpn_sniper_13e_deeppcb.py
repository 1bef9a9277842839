# DeepPCB (tangsanli5201/DeepPCB) in COCO format: 640x640, objects 22-120 px.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_pyramid.py',
    '../_base_/datasets/coco_chips.py',
    '../_base_/schedules/adamw_slim.py',
    'mmdet::_base_/default_runtime.py',
]

data_root = 'data/deeppcb/'
_data = dict(
    type='sniper_mmdet.DeepPCBDataset',
    data_root=data_root,
    data_prefix=dict(img='images/'),
)

model = dict(
    scales=[1.0, 1.6],
    valid_ranges=[(40, None), (0, 64)],
    roi_head=dict(bbox_head=dict(num_classes=6)),
)

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        scales=[1.0, 1.6],
        valid_ranges=[(48, None), (0, 56)],
        chip_size=256,
        stride=(28, 32),
        dataset=dict(ann_file='train.json', **_data),
    ),
)
val_dataloader = dict(dataset=dict(ann_file='val.json', **_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=13, val_interval=13)
