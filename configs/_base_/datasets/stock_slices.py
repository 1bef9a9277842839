# The baseline of SNIPER and AutoFocus on large images: mmdet trains on slices
# of 256 px, enlarged to about 400 px, as for sliced inference, and tests on
# whole images, enlarged by the same factor. A config names the data. sahi cuts
# the slices:
#
#   sahi coco slice --image_dir IMAGES --dataset_json_path train.json \
#       --slice_size 256 --ignore_negative_samples --output_dir SLICES
#
# They are in SLICES/train_images_256_02, and their boxes in
# SLICES/train_256_02.json, by the size and by the overlap, 0.2.
_base_ = './stock_multi-scale.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='RandomResize',
        scale=(400, 400),
        ratio_range=(0.75, 1.25),
        keep_ratio=True,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1] = dict(type='Resize', scale_factor=1.5625, keep_ratio=True)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
