# What makes a two-stage detector of MMDetection's learn from labels that are
# not complete: background is weighted softly, and what lies in a group of
# objects is no background. It shares no name with MMDetection's configs, so a
# config inherits both and takes what it needs: model = _base_.soft_sampling.
# As released, a group is told by the share of a RoI that lies in it alone, and
# a match with an object counts before it.
_assigner = dict(
    type='sniper_mmdet.RangeAwareAssigner', ignore_iou_thr=1.0, in_region=0.9
)

soft_sampling = dict(
    roi_head=dict(type='sniper_mmdet.SoftSamplingRoIHead'),
    train_cfg=dict(
        rpn=dict(assigner=_assigner), rcnn=dict(assigner=_assigner)
    ),
)

# OpenImages: boxes of groups are ignored.
openimages_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='sniper_mmdet.IgnoreGroupOf'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(1024, 800), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='sniper_mmdet.PackKnownLabels'),
]
