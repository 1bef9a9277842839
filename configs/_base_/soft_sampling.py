# Settings with which a two-stage detector of MMDetection learns from
# incomplete labels: background has soft weights, and RoIs in a group of
# objects are not background. No name here is used by MMDetection's configs, so
# that a config can inherit both and take what it needs:
# `model = _base_.soft_sampling`. As released, a RoI belongs to a group only by
# the share of the RoI that lies in it, and a match with an object counts
# first.
_assigner = dict(
    type='sniper_mmdet.RangeAwareAssigner', ignore_iou_thr=1.0, in_region=0.9
)

soft_sampling = dict(
    roi_head=dict(type='sniper_mmdet.SoftSamplingRoIHead'),
    train_cfg=dict(
        rpn=dict(assigner=_assigner), rcnn=dict(assigner=_assigner)
    ),
)

# For OpenImages: boxes of groups are ignored.
openimages_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='sniper_mmdet.IgnoreGroupOf'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(1024, 800), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='sniper_mmdet.PackKnownLabels'),
]
