_base_ = [
    '../_base_/models/rfcn3k_r101-dcn_c4_pyramid.py',
    '../_base_/datasets/imagenet3k_chips.py',
    '../_base_/schedules/sniper_7e_released.py',
    'mmdet::_base_/default_runtime.py',
]
