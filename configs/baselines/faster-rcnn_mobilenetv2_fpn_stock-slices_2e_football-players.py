# COCO-format data. A whole football pitch: frames of 1920x1080 px, players
# of about 35 px and a ball of 6 to 20 px.
# Slices go to SLICES, see the base.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_stock.py',
    '../_base_/models/mobilenetv2_fpn.py',
    '../_base_/datasets/stock_slices.py',
    '../_base_/schedules/adamw_pretrained.py',
    'mmdet::_base_/default_runtime.py',
]

data_root = 'data/football_players/'
_type = 'sniper_mmdet.FootballPlayersDataset'

model = dict(
    _base_.mobilenetv2_fpn,
    roi_head=dict(bbox_head=dict(num_classes=4)),
)

train_dataloader = dict(
    dataset=dict(
        type=_type,
        data_root='data/slices/football_players/',
        ann_file='train_coco.json',
        data_prefix=dict(img=''),
    )
)
val_dataloader = dict(
    dataset=dict(
        type=_type,
        data_root=data_root,
        ann_file='val.json',
        data_prefix=dict(img='images/'),
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=2, val_interval=2)
