# COCO-format data. Traffic lights of about 30 px, images of up to 640 px; 14
# kinds in 3 colours. This is the baseline of the decoupled head.
_base_ = '../_base_/small_images.py'

data_root = 'data/traffic_lights/'
_data = dict(
    type='sniper_mmdet.TrafficLightsDataset',
    data_root=data_root,
)
_scale = (640, 640)

model = dict(roi_head=dict(bbox_head=dict(num_classes=14)))

# Images are not flipped: an arrow to the left would become one to the right.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='RandomChoiceResize',
        scales=[(512, 512), _scale, (768, 768)],
        keep_ratio=True,
    ),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = _scale

train_dataloader = dict(
    batch_size=4,
    dataset=dict(pipeline=train_pipeline, **_data),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator
