# The released network with masks: its RPN sees C4 alone.
_base_ = './faster-rcnn_r101-dcn_c4c5_pyramid.py'

model = dict(
    rpn_head=dict(in_channels=1024, in_indices=(0,)),
    roi_head=dict(
        mask_roi_extractor=dict(
            type='sniper_mmdet.DeformRoIExtractor',
            channels=256,
            stride=16,
            output_size=14,
        ),
        mask_head=dict(
            type='sniper_mmdet.TwoWayMaskHead',
            num_convs=4,
            in_channels=256,
            conv_out_channels=256,
            num_classes=80,
            loss_mask=dict(
                type='CrossEntropyLoss', use_mask=True, loss_weight=1.0
            ),
        ),
    ),
    # Every detection of a level has a mask, so near duplicates are removed
    # before.
    test_cfg=dict(
        rcnn=dict(
            nms=dict(_delete_=True, type='nms', iou_threshold=0.7),
            max_per_img=100,
        )
    ),
)
