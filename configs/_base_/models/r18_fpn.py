# ResNet-18 instead of ResNet-50, with FPN. A config inherits this file beside
# one with ResNet-50: `model = _base_.r18_fpn`.
r18_fpn = dict(
    backbone=dict(
        depth=18,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
