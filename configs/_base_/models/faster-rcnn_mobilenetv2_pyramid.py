# The small network of the released SNIPER detectors.
_base_ = './faster-rcnn_r101-dcn_c4c5_pyramid.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='sniper_mmdet.ExpandedMobileNetV2',
        out_indices=(7,),
        # As released, scales and shifts do not train, the statistics do.
        norm_cfg=dict(
            type='BN', eps=1e-5, momentum=0.005, requires_grad=False
        ),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/pretrained_model/mobilenetv2.pth',
            prefix='backbone.',
        ),
    ),
    rpn_head=dict(
        in_channels=1280,
        in_indices=(0,),
        feat_channels=256,
        anchor_generator=dict(scales=[1, 2, 4, 8, 12], strides=[32]),
    ),
    roi_head=dict(
        in_channels=1280,
        in_indices=(0,),
        bbox_roi_extractor=dict(stride=32),
        bbox_head=dict(fc_out_channels=512),
    ),
)
