# COCO-format data. A whole football pitch: frames of 1920x1080 px, players
# of about 35 px and a ball of 6 to 20 px.
# Slices go to data/slices, see ../_base_/datasets/stock_slices.py.
_base_ = '../_base_/large_images_slices.py'

data_root = 'data/football_players/'
_type = 'sniper_mmdet.FootballPlayersDataset'

model = dict(roi_head=dict(bbox_head=dict(num_classes=4)))

train_dataloader = dict(
    dataset=dict(
        type=_type,
        data_root='data/slices/football_players/',
        ann_file='train_256_02.json',
        data_prefix=dict(img='train_images_256_02/'),
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
