# WIDER FACE for the training of SSH: whole images, enlarged, each also
# mirrored. data/WIDERFace holds the unpacked archives, see
# wider-face_chips.py.
_base_ = './chips.py'

data_root = 'data/WIDERFace/'
_type = 'sniper_mmdet.WiderFaceDataset'

train_pipeline = [
    # With float32, resizing rounds no pixels.
    dict(type='LoadImageFromFile', to_float32=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(1600, 1200), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=_type,
        data_root=data_root,
        ann_file='wider_face_split/wider_face_train_bbx_gt.txt',
        data_prefix=dict(img='WIDER_train/images/'),
        # Every face is trained, as released.
        ignore_invalid=False,
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    _base_.image_dataloader,
    dataset=dict(
        type=_type,
        data_root=data_root,
        ann_file='wider_face_split/wider_face_val_bbx_gt.txt',
        data_prefix=dict(img='WIDER_val/images/'),
        test_mode=True,
        pipeline=_base_.image_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='sniper_mmdet.WiderFaceMetric',
    ann_dir=data_root + 'eval_tools/ground_truth',
)
test_evaluator = val_evaluator
