# COCO-format data. Airports from satellite: images of 2560x2560 px, aircraft
# of 54 to 176 px.
_base_ = '../_base_/large_images_chips.py'

data_root = 'data/airbus_aircraft/'
_data = dict(
    type='sniper_mmdet.AirbusAircraftDataset',
    data_root=data_root,
    data_prefix=dict(img='images/'),
)
_scales = [0.4, 1.22]

model = dict(
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(320, 320))]
    ),
    scales=_scales,
    valid_ranges=[(123, None), (None, 200)],
    roi_head=dict(bbox_head=dict(num_classes=2)),
)

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        scales=_scales,
        valid_ranges=[(148, None), (None, 197)],
        chip_size=320,
        stride=(35, 37),
        dataset=dict(ann_file='train.json', **_data),
    ),
)
val_dataloader = dict(dataset=dict(ann_file='val.json', **_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=6, val_interval=6)
