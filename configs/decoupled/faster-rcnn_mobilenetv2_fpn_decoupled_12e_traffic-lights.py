# Objectness, and 14 kinds of traffic lights.
_base_ = [
    './faster-rcnn_mobilenetv2_fpn_plain_12e_traffic-lights.py',
    '../_base_/models/decoupled.py',
]

model = _base_.decoupled
