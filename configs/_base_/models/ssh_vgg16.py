# The face detector of the SSH paper, as released: VGG-16, and three modules of
# two anchors each, 16 to 512 px.
_nms = dict(type='nms', iou_threshold=0.3, offset=1)

model = dict(
    type='sniper_mmdet.PyramidDetector',
    detector='SingleStageDetector',
    scales=[(1200, 1600)],
    exact=True,
    # A batch would pad images to one size, which adds cells and changes cells
    # at a border.
    batch_size=1,
    merge=_nms,
    max_per_img=-1,
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[102.9801, 115.9465, 122.7717],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
    ),
    backbone=dict(
        type='sniper_mmdet.PlainVGG',
        frozen_stages=2,
        init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://vgg16_caffe'
        ),
    ),
    neck=dict(
        type='sniper_mmdet.SSHNeck',
        in_channels=[512, 512],
        fused_channels=128,
        out_channels=[256, 512, 512],
    ),
    bbox_head=dict(
        type='sniper_mmdet.SSHHead',
        num_classes=1,
        in_channels=[256, 512, 512],
        anchor_generator=dict(
            type='AnchorGenerator',
            ratios=[1.0],
            scales=[1, 2],
            base_sizes=[16, 64, 256],
            centers=[(8, 8)] * 3,
            strides=[8, 16, 32],
        ),
        bbox_coder=dict(
            type='sniper_mmdet.LastPixelBoxCoder',
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[1.0, 1.0, 1.0, 1.0],
        ),
        loss_cls=dict(type='CrossEntropyLoss'),
        loss_bbox=dict(type='SmoothL1Loss', beta=1 / 9),
        # Boxes of WIDER FACE include their last pixel.
        gt_offset=1,
    ),
    train_cfg=dict(
        # A face gets no anchor if none overlaps it enough.
        assigner=dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.3,
            min_pos_iou=0.5,
            match_low_quality=False,
        ),
        sampler=dict(type='sniper_mmdet.HardAnchorSampler'),
        # Anchors that end exactly at the border are within it.
        allowed_border=[0.5, 0.5, 512.5],
    ),
    test_cfg=dict(nms_pre=1000, score_thr=0.05, nms=_nms, max_per_img=3000),
)
