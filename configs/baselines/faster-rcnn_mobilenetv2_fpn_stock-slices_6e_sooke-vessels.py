# COCO-format data. Distant ships seen from the shore: frames of 1920x1080
# px, ships of 9 to 68 px.
# Slices go to data/slices, see ../_base_/datasets/stock_slices.py.
_base_ = '../_base_/large_images_slices.py'

data_root = 'data/sooke_vessels/'
_type = 'sniper_mmdet.SookeVesselsDataset'

model = dict(roi_head=dict(bbox_head=dict(num_classes=1)))

train_dataloader = dict(
    dataset=dict(
        type=_type,
        data_root='data/slices/sooke_vessels/',
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

train_cfg = dict(max_epochs=6, val_interval=6)
