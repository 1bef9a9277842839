# COCO: objectness, and 80 classes of objects.
_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    '../_base_/models/decoupled.py',
]

model = _base_.decoupled
