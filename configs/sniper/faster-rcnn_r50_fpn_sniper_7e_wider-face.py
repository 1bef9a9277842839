# This config was not trained here, and its levels are not tuned.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_pyramid.py',
    '../_base_/datasets/wider-face_chips.py',
    '../_base_/schedules/sniper_7e.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(
    # Ranges are wider than those in training.
    scales=[(-1, 512), 1.667, 3.0],
    valid_ranges=[(80, None), (28, 150), (0, 50)],
    # A picture may have hundreds of faces.
    max_per_img=1000,
    roi_head=dict(bbox_head=dict(num_classes=1)),
    test_cfg=dict(rpn=dict(max_per_img=1000), rcnn=dict(max_per_img=1000)),
)
