# The network of the released SNIPER detectors: C4 and a deformable, dilated C5
# together feed the RPN and a deformable RoI head.
# tools/model_converters/mxnet_to_mmdet.py converts its weights.
model = dict(
    type='sniper_mmdet.PyramidDetector',
    # Test levels and ranges of the released code; wider than in training.
    scales=[(480, 512), (800, 1280), (1400, 2000)],
    valid_ranges=[(75, None), (32, 180), (0, 90)],
    batch_size=[4, 2, 2],
    detector='sniper_mmdet.ReleasedFasterRCNN',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.68, 116.779, 103.939],
        std=[1, 1, 1],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        # A level that is smaller than a chip is padded to one, so that every
        # batch has the same shape.
        batch_augments=[dict(type='BatchFixedSizePad', size=(512, 512))],
    ),
    backbone=dict(
        type='sniper_mmdet.PreActResNet',
        depth=101,
        frozen_stages=1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/pretrained_model/resnet_mx_101_open.pth',
            prefix='backbone.',
        ),
    ),
    rpn_head=dict(
        type='sniper_mmdet.ReleasedRPNHead',
        in_channels=3072,
        in_indices=(0, 1),
        feat_channels=512,
        anchor_generator=dict(
            type='sniper_mmdet.RoundedAnchorGenerator',
            scales=[2, 4, 7, 10, 13, 16, 24],
            ratios=[0.5, 1.0, 2.0],
            strides=[16],
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False),
        # 3 / (chips x 256) of the sum.
        loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=3.0),
    ),
    roi_head=dict(
        type='sniper_mmdet.ReleasedRoIHead',
        in_channels=3072,
        in_indices=(0, 1),
        out_channels=256,
        bbox_roi_extractor=dict(
            type='sniper_mmdet.DeformRoIExtractor', channels=256, stride=16
        ),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            in_channels=256,
            fc_out_channels=1024,
            roi_feat_size=7,
            num_classes=80,
            reg_class_agnostic=True,
            init_cfg=dict(type='Normal', layer='Linear', std=0.01),
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]
            ),
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False),
            # 1 / (chips x 188) of the sum; mmdet takes the mean over 300 RoIs
            # per chip.
            loss_bbox=dict(
                type='SmoothL1Loss', beta=1.0, loss_weight=300 / 188
            ),
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='sniper_mmdet.RangeAwareAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.4,
                # The best anchor of a box, however bad.
                min_pos_iou=0.01,
                match_low_quality=True,
                ignore_iou_thr=0.3,
            ),
            sampler=dict(
                type='RandomSampler',
                num=256,
                pos_fraction=0.5,
                add_gt_as_proposals=False,
            ),
            allowed_border=32,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(
            nms_pre=-1,
            max_nms=6000,
            max_per_img=300,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=3,
        ),
        # All RoIs are trained, except those in a crowd: the head passes on
        # only ignored boxes that are annotated as such.
        rcnn=dict(
            assigner=dict(
                type='sniper_mmdet.RangeAwareAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iou_thr=0.5,
            ),
            sampler=dict(type='PseudoSampler'),
            mask_size=28,
            pos_weight=-1,
            debug=False,
        ),
    ),
    test_cfg=dict(
        rpn=dict(
            nms_pre=6000,
            max_per_img=300,
            nms=dict(type='nms', iou_threshold=0.7),
            # As in the original's operator, whatever its config says.
            min_bbox_size=3,
        ),
        # The only NMS is the one that merges the levels.
        rcnn=dict(
            score_thr=0.001, nms=None, max_per_img=-1, mask_thr_binary=0.5
        ),
    ),
)
