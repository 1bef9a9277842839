# A small SSH: an ImageNet MobileNetV2, whose map of stride 32 feeds module 3,
# and modules with a quarter of the released channels.
_base_ = './ssh_vgg16.py'

_channels = [64, 128, 128]

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        out_indices=(2, 4, 6),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://mmdet/mobilenet_v2'
        ),
    ),
    neck=dict(
        in_channels=[32, 96, 320],
        fused_channels=64,
        out_channels=_channels,
        norm_cfg=dict(type='BN'),
    ),
    bbox_head=dict(in_channels=_channels),
)
