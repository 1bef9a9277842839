# COCO-format data. Airports from satellite: images of 2560x2560 px, aircraft
# of 54 to 176 px.
# Slices go to data/slices, see ../_base_/datasets/stock_slices.py.
_base_ = '../_base_/large_images_slices.py'

data_root = 'data/airbus_aircraft/'
_type = 'sniper_mmdet.AirbusAircraftDataset'

# The slices have 512 px.
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale_factor=0.78125)

model = dict(roi_head=dict(bbox_head=dict(num_classes=2)))

train_dataloader = dict(
    dataset=dict(
        type=_type,
        data_root='data/slices/airbus_aircraft/',
        ann_file='train_512_02.json',
        data_prefix=dict(img='train_images_512_02/'),
    )
)
val_dataloader = dict(
    dataset=dict(
        type=_type,
        data_root=data_root,
        ann_file='val.json',
        data_prefix=dict(img='images/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=4, val_interval=4)
