# COCO-format data. Emoji of 20 to 120 px on streets, 256x256 px; 48 classes
# have boxes. This is the baseline of the decoupled head.
_base_ = '../_base_/small_images.py'

data_root = 'data/emoji_scenes/'
_data = dict(
    type='sniper_mmdet.EmojiScenesBaseDataset',
    data_root=data_root,
)
_scale = (320, 320)

model = dict(roi_head=dict(bbox_head=dict(num_classes=48)))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='RandomChoiceResize',
        scales=[(256, 256), _scale, (384, 384)],
        keep_ratio=True,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = _scale

train_dataloader = dict(
    batch_size=8,
    dataset=dict(pipeline=train_pipeline, **_data),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator
