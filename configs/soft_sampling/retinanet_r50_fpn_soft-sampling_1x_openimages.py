# MMDetection's RetinaNet for OpenImages with Soft Sampling; boxes of groups
# are ignored, and only verified classes are learned.
_base_ = [
    'mmdet::openimages/retinanet_r50_fpn_32xb2-1x_openimages.py',
    '../_base_/soft_sampling.py',
]

model = dict(
    bbox_head=dict(
        type='sniper_mmdet.SoftSamplingRetinaHead', verified_only=True
    ),
    train_cfg=dict(assigner=_base_.soft_sampling.train_cfg.rpn.assigner),
)
train_dataloader = dict(
    dataset=dict(
        image_level_ann_file='annotations/train-annotations-human-imagelabels-'
        'boxable.csv',
        pipeline=_base_.openimages_pipeline,
    )
)
