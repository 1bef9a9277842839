# PASCAL VOC 2007 + 2012, trained on chips and tested on whole images.
_base_ = './coco_chips.py'

data_root = 'data/VOCdevkit/'
_voc = dict(
    type='VOCDataset',
    data_root=data_root,
    filter_cfg=dict(filter_empty_gt=False, min_size=32),
)

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='ConcatDataset',
            # VOCDataset puts the year into metainfo.
            ignore_keys=['dataset_type'],
            datasets=[
                dict(
                    ann_file='VOC2007/ImageSets/Main/trainval.txt',
                    data_prefix=dict(sub_data_root='VOC2007/'),
                    **_voc,
                ),
                dict(
                    ann_file='VOC2012/ImageSets/Main/trainval.txt',
                    data_prefix=dict(sub_data_root='VOC2012/'),
                    **_voc,
                ),
            ],
        )
    )
)
val_dataloader = dict(
    dataset=dict(
        type='VOCDataset',
        data_root=data_root,
        ann_file='VOC2007/ImageSets/Main/test.txt',
        data_prefix=dict(_delete_=True, sub_data_root='VOC2007/'),
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(
    _delete_=True,
    type='VOCMetric',
    metric='mAP',
    iou_thrs=[0.5, 0.7],
    eval_mode='11points',
)
test_evaluator = val_evaluator
