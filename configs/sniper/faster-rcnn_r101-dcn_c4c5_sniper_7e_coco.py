_base_ = [
    '../_base_/models/faster-rcnn_r101-dcn_c4c5_pyramid.py',
    '../_base_/datasets/coco_chips.py',
    '../_base_/schedules/sniper_7e_released.py',
    'mmdet::_base_/default_runtime.py',
]
