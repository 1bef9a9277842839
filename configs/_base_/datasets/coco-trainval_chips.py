# COCO as in the training of the released models for test-dev: train2014 and
# val2014, which are train2017 and val2017 together. (coco_chips.py trains on
# train2017, which is train2014 and valminusminival2014, and tests on val2017,
# which is minival2014.)
_base_ = './coco_chips.py'

data_root = _base_.data_root
_coco = _base_.train_dataloader.dataset.dataset

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='ConcatDataset',
            datasets=[
                _coco,
                dict(
                    _coco,
                    ann_file='annotations/instances_val2017.json',
                    data_prefix=dict(img='val2017/'),
                ),
            ],
        )
    )
)
# These are training images: the metric only shows whether training works.
val_dataloader = _base_.val_dataloader

# Results for the evaluation server.
test_dataloader = dict(
    dataset=dict(
        ann_file='annotations/image_info_test-dev2017.json',
        data_prefix=dict(img='test2017/'),
    )
)
test_evaluator = dict(
    ann_file=data_root + 'annotations/image_info_test-dev2017.json',
    format_only=True,
    outfile_prefix='./work_dirs/coco_test-dev',
)
