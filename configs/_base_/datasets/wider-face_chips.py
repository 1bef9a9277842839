# WIDER FACE, trained on chips and tested on whole images. data/WIDERFace holds
# the unpacked archives: WIDER_train, WIDER_val, wider_face_split, and
# eval_tools. Only the .mat files of eval_tools say which faces are easy,
# medium or hard.
_base_ = './coco_chips.py'

data_root = 'data/WIDERFace/'
dataset_type = 'sniper_mmdet.WiderFaceDataset'

train_dataloader = dict(
    dataset=dict(
        # These levels are not tuned. Images are 1024 px wide; 17% of the faces
        # are below 10 px high, 64% have 10 to 50 px. The detector must have
        # the same levels.
        scales=[(-1, 512), 1.667, 3.0],
        valid_ranges=[(100, None), (32, 120), (0, 40)],
        dataset=dict(
            _delete_=True,
            type=dataset_type,
            data_root=data_root,
            ann_file='wider_face_split/wider_face_train_bbx_gt.txt',
            data_prefix=dict(img='WIDER_train/images/'),
            filter_cfg=dict(filter_empty_gt=False, min_size=32),
        ),
    )
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='wider_face_split/wider_face_val_bbx_gt.txt',
        data_prefix=dict(img='WIDER_val/images/'),
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(
    _delete_=True,
    type='sniper_mmdet.WiderFaceMetric',
    ann_dir=data_root + 'eval_tools/ground_truth',
)
test_evaluator = val_evaluator
