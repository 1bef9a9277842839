# mmdet's Faster R-CNN, trained on chips and tested on an image pyramid.
_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

model = dict(
    type='sniper_mmdet.PyramidDetector',
    detector='FasterRCNN',
    # Test levels and ranges of the released code; wider than in training.
    scales=[(480, 512), (800, 1280), (1400, 2000)],
    valid_ranges=[(75, None), (32, 180), (0, 90)],
    data_preprocessor=dict(
        # A level that is smaller than a chip is padded to one, so that every
        # batch has the same shape.
        batch_augments=[dict(type='BatchFixedSizePad', size=(512, 512))]
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='sniper_mmdet.RangeAwareAssigner', ignore_iou_thr=0.3
            )
        ),
        rcnn=dict(
            assigner=dict(
                type='sniper_mmdet.RangeAwareAssigner', ignore_iou_thr=0.5
            )
        ),
    ),
    test_cfg=dict(
        rpn=dict(max_per_img=300),
        # The soft-NMS that merges the levels needs weak boxes and near ones:
        # the detector's own NMS only removes near duplicates.
        rcnn=dict(
            score_thr=0.001, nms=dict(iou_threshold=0.7), max_per_img=300
        ),
    ),
)
