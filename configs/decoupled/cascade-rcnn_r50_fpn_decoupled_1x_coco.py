# COCO: the stages of a cascade predict objectness, and the last one also the
# class.
_base_ = [
    'mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    '../_base_/models/decoupled.py',
]

_stages = _base_.model.roi_head.bbox_head
model = dict(
    _base_.decoupled,
    roi_head=dict(
        type='sniper_mmdet.DecoupledCascadeRoIHead',
        bbox_head=[
            dict(stage, fine=stage is _stages[-1], **_base_.decoupled_head)
            for stage in _stages
        ],
    ),
)
