# A small set in OpenImages' format: 256x256 px, objects of 30 to 130 px, 60
# classes in 6 parent classes, group boxes, verified labels, 30% of the boxes
# missing.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_pyramid.py',
    '../_base_/models/mobilenetv2_fpn.py',
    '../_base_/datasets/openimages_chips.py',
    '../_base_/schedules/adamw_pretrained.py',
    'mmdet::_base_/default_runtime.py',
]

_data = dict(
    data_root='data/openimages_format/',
    data_prefix=dict(img='../emoji_scenes/images/'),
    hierarchy_file='bbox_labels_hierarchy.json',
    label_file='class-descriptions-boxable.csv',
)
_labels = '-annotations-human-imagelabels-boxable.csv'
_scales = [1.0, 2.0]

model = dict(
    _base_.mobilenetv2_fpn,
    scales=_scales,
    valid_ranges=[(48, None), (0, 96)],
    roi_head=dict(bbox_head=dict(num_classes=66)),
)

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        scales=_scales,
        valid_ranges=[(56, None), (0, 80)],
        chip_size=256,
        stride=(28, 30),
        dataset=dict(
            ann_file='train-annotations-bbox.csv',
            image_level_ann_file='train' + _labels,
            **_data,
        ),
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        ann_file='val-annotations-bbox.csv',
        image_level_ann_file='val' + _labels,
        **_data,
    ),
)
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=8, val_interval=8)
