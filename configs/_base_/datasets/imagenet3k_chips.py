# ImageNet's images of Fall 2011 that have boxes, COCO format, 3,130 classes.
# As released: one level, the longer side 512, so one chip per image.
_base_ = './coco_chips.py'

data_root = 'data/imagenet3k/'

train_dataloader = dict(
    dataset=dict(
        scales=[(-1, 512)],
        valid_ranges=None,
        dataset=dict(
            type='sniper_mmdet.ImageNet3kDataset',
            data_root=data_root,
            ann_file='annotations/train.json',
            data_prefix=dict(img='fall11_whole/'),
            # Images without a box train nothing.
            filter_cfg=dict(filter_empty_gt=True),
        ),
    )
)
val_dataloader = dict(
    dataset=dict(
        type='sniper_mmdet.ImageNet3kDataset',
        data_root=data_root,
        ann_file='annotations/val.json',
        data_prefix=dict(img='val/'),
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator
