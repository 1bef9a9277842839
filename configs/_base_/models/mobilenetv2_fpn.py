# MobileNetV2 of ImageNet below the slim FPN, in place of the slim R-18: few
# real images teach it more. It shares no name with detectors: a config
# inherits this file beside one of theirs, `model = _base_.mobilenetv2_fpn`.
mobilenetv2_fpn = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        out_indices=(1, 2, 4, 6),
        # What has strides up to 8 costs most to train, and learns least.
        frozen_stages=3,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://mmdet/mobilenet_v2'
        ),
    ),
    neck=dict(in_channels=[24, 32, 96, 320]),
)
