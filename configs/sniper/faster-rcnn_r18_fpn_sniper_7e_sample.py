_base_ = [
    './faster-rcnn_r50_fpn_sniper_7e_sample.py',
    '../_base_/models/r18_fpn.py',
]

model = _base_.r18_fpn
