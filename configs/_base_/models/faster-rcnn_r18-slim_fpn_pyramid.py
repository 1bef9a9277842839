# A small Faster R-CNN that trains from random weights on two CPU cores.
_base_ = './faster-rcnn_r50_fpn_pyramid.py'

_channels = 64

model = dict(
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(256, 256))]
    ),
    backbone=dict(
        depth=18,
        base_channels=32,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(
        in_channels=[32, 64, 128, 256], out_channels=_channels, num_outs=4
    ),
    rpn_head=dict(
        in_channels=_channels,
        feat_channels=_channels,
        anchor_generator=dict(strides=[4, 8, 16, 32]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=_channels, roi_layer=dict(sampling_ratio=2)
        ),
        bbox_head=dict(in_channels=_channels, fc_out_channels=256),
    ),
    # A chip holds few objects, so that few candidates suffice.
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=300, max_per_img=200),
        rcnn=dict(sampler=dict(num=64)),
    ),
)
