_base_ = [
    '../_base_/models/ssh_mobilenetv2.py',
    '../_base_/datasets/wider-face_whole.py',
    '../_base_/schedules/ssh_13e.py',
    'mmdet::_base_/default_runtime.py',
]
