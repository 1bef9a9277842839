# OpenImages V4 to V7, trained on chips and tested on whole images.
# docs/openimages.md lists the files that it needs; a pickle of image sizes is
# not among them.
_base_ = './coco_chips.py'

data_root = 'data/OpenImages/'
_data = dict(
    type='sniper_mmdet.OpenImagesDataset',
    data_root=data_root,
    label_file='annotations/class-descriptions-boxable.csv',
    hierarchy_file='annotations/bbox_labels_600_hierarchy.json',
)

train_pipeline = _base_.train_pipeline
train_pipeline.insert(2, dict(type='sniper_mmdet.LoadGroupOf'))
train_pipeline[-1].update(type='sniper_mmdet.PackKnownLabels')

# The metric reads the boxes as they are annotated.
test_pipeline = _base_.image_pipeline
test_pipeline[-1].update(
    type='sniper_mmdet.PackKnownLabels',
    meta_keys=(*test_pipeline[-1].meta_keys, 'instances'),
)

train_dataloader = dict(
    # Classes take turns, so that the rare ones of 601 are seen.
    sampler=dict(type='sniper_mmdet.ClassAwareChipSampler'),
    dataset=dict(
        pipeline=train_pipeline,
        dataset=dict(
            _delete_=True,
            ann_file='annotations/oidv6-train-annotations-bbox.csv',
            data_prefix=dict(img='OpenImages/train/'),
            image_level_ann_file='annotations/train-annotations-human-'
            'imagelabels-boxable.csv',
            # Group boxes are neither objects nor background.
            group_of='ignore',
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            **_data,
        ),
    ),
)
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations/validation-annotations-bbox.csv',
        data_prefix=dict(img='OpenImages/validation/'),
        image_level_ann_file='annotations/validation-annotations-human-'
        'imagelabels-boxable.csv',
        pipeline=test_pipeline,
        **_data,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(_delete_=True, type='sniper_mmdet.OpenImagesMetric')
test_evaluator = val_evaluator
