# Loaders of chips for training and of whole images for testing, for any data,
# with names that MMDetection's configs do not use. The data is COCO, the
# settings are those of the released SNIPER code. Tiled rasters are read by
# window; other images are decoded as by LoadImageFromFile.

pack_chip = dict(
    type='sniper_mmdet.PackImage',
    meta_keys=(
        'img_id',
        'img_path',
        'ori_shape',
        'img_shape',
        'scale_factor',
        'flip',
        'flip_direction',
        'chip_range',
        'chip_level',
    ),
)
chip_pipeline = [
    dict(type='sniper_mmdet.LoadImageByWindow'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='sniper_mmdet.CutChip'),
    dict(type='RandomFlip', prob=0.5),
    pack_chip,
]
mask_chip_pipeline = [
    dict(type='sniper_mmdet.LoadImageByWindow'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='sniper_mmdet.CutChip'),
    dict(type='RandomFlip', prob=0.5),
    pack_chip,
]
# No Resize: the detector itself looks at each level of the image.
# MMDetection's DetInferencer looks for this name.
image_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape'),
    ),
]

chip_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='sniper_mmdet.ChipSampler'),
    batch_sampler=None,
    dataset=dict(
        type='sniper_mmdet.ChipDataset',
        scales=[(-1, 512), 1.667, 3.0],
        valid_ranges=[(120, None), (32, 150), (0, 80)],
        chip_size=512,
        pipeline=chip_pipeline,
        dataset=dict(
            type='CocoDataset',
            data_root='data/coco/',
            ann_file='annotations/instances_train2017.json',
            data_prefix=dict(img='train2017/'),
            # An image without boxes can only give negative chips.
            filter_cfg=dict(filter_empty_gt=False, min_size=32),
        ),
    ),
)

image_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root='data/coco/',
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=image_pipeline,
    ),
)

chip_hooks = [dict(type='sniper_mmdet.ChipMiningHook')]
