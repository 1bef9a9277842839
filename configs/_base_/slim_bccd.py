# Settings that train a detector on BCCD on a CPU, on chips or by MMDetection's
# own multi-scale pipeline. No name here is used by MMDetection's configs, so
# that a config can inherit both and take what it needs, as with
# any_detector.py.
_base_ = './any_detector.py'

slim_backbone = dict(
    depth=18,
    base_channels=32,
    frozen_stages=-1,
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=False,
    init_cfg=None,
)

_bccd = dict(
    type='sniper_mmdet.BCCDDataset',
    data_root='data/bccd/',
    data_prefix=dict(sub_data_root='VOC2007/'),
)
_bccd_train = dict(ann_file='VOC2007/ImageSets/Main/trainval.txt', **_bccd)
_bccd_test = dict(
    ann_file='VOC2007/ImageSets/Main/test.txt', test_mode=True, **_bccd
)
# CocoMetric makes its ground truth from the instances.
bccd_evaluator = dict(type='CocoMetric', metric='bbox')
_test_pack = dict(
    type='PackDetInputs',
    meta_keys=(
        'img_id',
        'img_path',
        'ori_shape',
        'img_shape',
        'scale_factor',
        'instances',
    ),
)

# Chips.
pyramid = dict(
    scales=[0.6, 1.2],
    valid_ranges=[(56, None), (0, 88)],
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(384, 384))]
    ),
)
chip_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        scales=[0.6, 1.2],
        valid_ranges=[(64, None), (0, 80)],
        chip_size=384,
        dataset=dict(
            _delete_=True,
            filter_cfg=dict(filter_empty_gt=False),
            **_bccd_train,
        ),
    ),
)
image_dataloader = dict(
    num_workers=1,
    dataset=dict(
        _delete_=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            _test_pack,
        ],
        **_bccd_test,
    ),
)

# MMDetection's own training: whole images, resized at random.
stock_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        # Two boxes of BCCD have no area, which would make a loss NaN.
        filter_cfg=dict(filter_empty_gt=True, bbox_min_size=1),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='RandomChoiceResize',
                scales=[(1333, 384), (1333, 480), (1333, 576)],
                keep_ratio=True,
            ),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs'),
        ],
        **_bccd_train,
    ),
)
stock_test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(1333, 480), keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True),
            _test_pack,
        ],
        **_bccd_test,
    ),
)
