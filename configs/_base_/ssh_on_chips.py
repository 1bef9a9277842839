# Settings that train an SSH on chips and test it on an image pyramid. A config
# inherits this file beside one of SSH, and has
# `model = dict(_base_.ssh_on_chips, scales=..., valid_ranges=...)`.
ssh_on_chips = dict(
    # Levels are resized like chips, and batches may have any size.
    exact=False,
    batch_size=None,
    max_per_img=1000,
    data_preprocessor=dict(
        # Levels smaller than a chip are padded to one.
        batch_augments=[dict(type='BatchFixedSizePad', size=(512, 512))],
    ),
    # Boxes are half-open, as in mmdet.
    bbox_head=dict(gt_offset=0),
    train_cfg=dict(
        # Anchors over the border are trained, too. On small chips these are
        # most of the larger anchors, and without training they find faces
        # along the borders of each level.
        allowed_border=-1,
        assigner=dict(
            type='sniper_mmdet.RangeAwareAssigner', ignore_iou_thr=0.3
        ),
    ),
    # One NMS runs over all levels.
    test_cfg=dict(nms=None),
)
