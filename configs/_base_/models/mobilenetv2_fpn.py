# An ImageNet MobileNetV2 below the slim FPN, instead of the slim R-18: it
# learns more from few real images. A config inherits this file beside one of a
# detector: `model = _base_.mobilenetv2_fpn`.
mobilenetv2_fpn = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        out_indices=(1, 2, 4, 6),
        # Layers of strides up to 8 cost most to train, and learn least.
        frozen_stages=3,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://mmdet/mobilenet_v2'
        ),
    ),
    neck=dict(in_channels=[24, 32, 96, 320]),
)
