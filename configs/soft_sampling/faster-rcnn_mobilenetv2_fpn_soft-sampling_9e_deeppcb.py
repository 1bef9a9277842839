# The same with an ImageNet MobileNetV2, which learns more from few images.
_base_ = [
    './faster-rcnn_r18-slim_fpn_soft-sampling_9e_deeppcb.py',
    '../_base_/models/mobilenetv2_fpn.py',
]

model = _base_.mobilenetv2_fpn

# As in adamw_pretrained.py, whose base the other config has already.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))
)
