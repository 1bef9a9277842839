# COCO: a C4 detector, whose layers are in its shared head.
_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py',
    '../_base_/models/decoupled.py',
]

model = _base_.decoupled_c4
