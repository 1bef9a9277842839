_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_pyramid.py',
    '../_base_/datasets/coco_chips.py',
    '../_base_/schedules/sniper_7e.py',
    'mmdet::_base_/default_runtime.py',
]
