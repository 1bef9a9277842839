# COCO-format data. A whole football pitch: frames of 1920x1080 px, players
# of about 35 px and a ball of 6 to 20 px.
_base_ = '../_base_/large_images_chips.py'

data_root = 'data/football_players/'
_data = dict(
    type='sniper_mmdet.FootballPlayersDataset',
    data_root=data_root,
    data_prefix=dict(img='images/'),
)
_scales = [0.5, 2.0]

model = dict(
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(256, 256))]
    ),
    scales=_scales,
    valid_ranges=[(67, None), (None, 132)],
    roi_head=dict(bbox_head=dict(num_classes=4)),
)

train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        scales=_scales,
        valid_ranges=[(80, None), (None, 110)],
        chip_size=256,
        stride=(28, 30),
        dataset=dict(ann_file='train.json', **_data),
    ),
)
val_dataloader = dict(dataset=dict(ann_file='val.json', **_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=9, val_interval=9)
