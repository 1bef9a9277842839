# R-FCN-3000 as released: the network of SNIPER's detectors with an RPN on C4,
# and a head that predicts objectness and 3,130 classes.
# tools/model_converters/mxnet_to_mmdet.py converts its weights.
_base_ = './faster-rcnn_r101-dcn_c4c5_pyramid.py'

model = dict(
    # One level, the longer side 512, in training and in tests. The detector's
    # own NMS is the only one.
    scales=[(512, 512)],
    valid_ranges=None,
    batch_size=4,
    max_per_img=-1,
    detector='sniper_mmdet.RFCN3k',
    # Every input is 512x512, also in tests.
    data_preprocessor=dict(pad_size_divisor=512),
    # The original starts from a detector that is not published under its name,
    # soft-0000.params, whose stage 4 and RPN were trained before.
    rpn_head=dict(
        type='sniper_mmdet.RFCN3kRPNHead',
        in_channels=1024,
        in_indices=(0,),
        anchor_generator=dict(scales=[4, 8, 16, 24]),
        bbox_coder=dict(_delete_=True, type='sniper_mmdet.ReleasedBoxCoder'),
    ),
    roi_head=dict(
        _delete_=True,
        type='sniper_mmdet.RFCN3kRoIHead',
        # Both are True in the released code, which is a fault.
        class_shift=False,
        padding_counts=False,
        bbox_head=dict(
            type='sniper_mmdet.RFCN3kBBoxHead',
            in_channels=3072,
            feat_channels=1024,
            num_classes=3130,
            # Sums over 16 chips, whatever the batch: objects, classes, boxes.
            avg_factors=(16 * 300, 16 * 200, 16 * 188),
        ),
    ),
    train_cfg=dict(
        # Least side in chip pixels; upper bound of the boxes of a chip.
        min_gt_side=10,
        max_gts=100,
        rpn_proposal=dict(released=True),
        # All 300 RoIs of a chip are trained; 50 objects per chip among them
        # learn a class.
        rcnn=dict(_delete_=True, num_rois=300, num_pos=50, pos_iou_thr=0.5),
    ),
    test_cfg=dict(
        # As in the original's operator, whatever its config says.
        rpn=dict(nms_pre=12000, random_fill=False),
        rcnn=dict(
            _delete_=True,
            objectness_thr=0.01,
            score_thr=0.001,
            nms=dict(
                type='soft_nms',
                method='gaussian',
                sigma=0.55,
                min_score=0.001,
            ),
            max_per_img=200,
        ),
    ),
)
