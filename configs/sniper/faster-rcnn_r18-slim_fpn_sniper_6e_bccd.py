# BCCD (Shenggan/BCCD_Dataset), PASCAL VOC format: 640x480 blood smears, cells
# of about 100 and 200 px, platelets of 40 px. Evaluated as COCO does.
_base_ = [
    '../_base_/models/faster-rcnn_r18-slim_fpn_pyramid.py',
    '../_base_/datasets/voc0712_chips.py',
    '../_base_/schedules/adamw_slim.py',
    'mmdet::_base_/default_runtime.py',
]

data_root = 'data/bccd/'
metainfo = dict(classes=('RBC', 'WBC', 'Platelets'))

model = dict(
    scales=[0.6, 1.2],
    valid_ranges=[(56, None), (0, 88)],
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(384, 384))]
    ),
    roi_head=dict(bbox_head=dict(num_classes=3)),
)

train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        scales=[0.6, 1.2],
        valid_ranges=[(64, None), (0, 80)],
        chip_size=384,
        dataset=dict(
            _delete_=True,
            type='VOCDataset',
            data_root=data_root,
            metainfo=metainfo,
            ann_file='VOC2007/ImageSets/Main/trainval.txt',
            data_prefix=dict(sub_data_root='VOC2007/'),
            filter_cfg=dict(filter_empty_gt=False),
        ),
    ),
)

# CocoMetric makes its ground truth from what the data set hands on.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=(
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'instances',
        ),
    ),
]
val_dataloader = dict(
    dataset=dict(
        data_root=data_root, metainfo=metainfo, pipeline=test_pipeline
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='CocoMetric', metric='bbox')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=6, val_interval=6)
