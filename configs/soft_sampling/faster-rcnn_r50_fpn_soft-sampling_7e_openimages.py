# All of OpenImages on chips, which are drawn class by class. Group boxes are
# ignored, and background is weighted by overlap.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_pyramid.py',
    '../_base_/datasets/openimages_chips.py',
    '../_base_/schedules/sniper_7e.py',
    'mmdet::_base_/default_runtime.py',
]

# As released, what lies in a group by nine tenths is ignored.
_in_region = dict(assigner=dict(in_region=0.9))

model = dict(
    roi_head=dict(
        type='sniper_mmdet.SoftSamplingRoIHead',
        bbox_head=dict(num_classes=601),
    ),
    train_cfg=dict(rpn=_in_region, rcnn=_in_region),
)
