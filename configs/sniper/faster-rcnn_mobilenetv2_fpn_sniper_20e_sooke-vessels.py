# COCO-format data. Distant ships seen from the shore: frames of 1920x1080
# px, ships of 9 to 68 px.
_base_ = '../_base_/large_images_chips.py'

data_root = 'data/sooke_vessels/'
_data = dict(
    type='sniper_mmdet.SookeVesselsDataset',
    data_root=data_root,
    data_prefix=dict(img='images/'),
)
_scales = [0.667, 3.0]

model = dict(
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(384, 384))]
    ),
    scales=_scales,
    valid_ranges=[(51, None), (None, 96)],
    roi_head=dict(bbox_head=dict(num_classes=1)),
)

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        scales=_scales,
        valid_ranges=[(61, None), (None, 80)],
        chip_size=384,
        stride=(42, 44),
        dataset=dict(ann_file='train.json', **_data),
    ),
)
val_dataloader = dict(dataset=dict(ann_file='val.json', **_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=20, val_interval=20)
