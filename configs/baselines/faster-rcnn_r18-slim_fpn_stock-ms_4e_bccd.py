# What SNIPER is compared with: the same detector, trained by mmdet alone on
# whole images resized at random, tested at the middle scale.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_stock.py',
    '../_base_/datasets/stock_multi-scale.py',
    '../_base_/schedules/adamw_slim.py',
    'mmdet::_base_/default_runtime.py',
]

_data = dict(
    type='VOCDataset',
    data_root='data/bccd/',
    data_prefix=dict(sub_data_root='VOC2007/'),
    metainfo=dict(classes=('RBC', 'WBC', 'Platelets')),
)

model = dict(roi_head=dict(bbox_head=dict(num_classes=3)))

# Scales around the images' own 480 px; CocoMetric makes its ground truth from
# the instances.
train_pipeline = _base_.train_pipeline
train_pipeline[2].scales = [(1333, 384), (1333, 480), (1333, 576)]
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (1333, 480)
test_pipeline[-1].meta_keys += ('instances',)

train_dataloader = dict(
    dataset=dict(
        ann_file='VOC2007/ImageSets/Main/trainval.txt',
        # Two boxes of BCCD have no area: mmdet's loss would be NaN.
        filter_cfg=dict(bbox_min_size=1),
        pipeline=train_pipeline,
        **_data,
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file='VOC2007/ImageSets/Main/test.txt',
        pipeline=test_pipeline,
        **_data,
    )
)
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=4, val_interval=4)
