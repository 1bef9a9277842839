# Three super-classes: red, green and yellow, the supercategories of the file.
_base_ = './faster-rcnn_mobilenetv2_fpn_decoupled_12e_traffic-lights.py'

model = dict(
    roi_head=dict(bbox_head=dict(super_classes=[0] * 5 + [1] * 5 + [2] * 4))
)
