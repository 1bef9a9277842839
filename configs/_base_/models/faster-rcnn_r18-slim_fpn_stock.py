# The baseline of SNIPER: the slim detector in plain mmdet, without pyramid and
# ignored boxes. The layers are those of *_pyramid.py.
_base_ = './faster-rcnn_r18-slim_fpn_pyramid.py'

_model = _base_.model
_train = _model.train_cfg

model = dict(
    _delete_=True,
    type='FasterRCNN',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=_model.data_preprocessor.mean,
        std=_model.data_preprocessor.std,
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=_model.backbone,
    neck=_model.neck,
    rpn_head=_model.rpn_head,
    roi_head=_model.roi_head,
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
            ),
            sampler=_train.rpn.sampler,
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        # An image holds more objects than a chip.
        rpn_proposal=dict(
            nms_pre=500,
            max_per_img=300,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
            ),
            sampler=dict(
                type='RandomSampler',
                num=128,
                pos_fraction=0.25,
                add_gt_as_proposals=True,
            ),
            pos_weight=-1,
            debug=False,
        ),
    ),
    # There are no levels to merge: the detector's NMS is the only one.
    test_cfg=dict(
        rpn=_model.test_cfg.rpn,
        rcnn=dict(
            score_thr=0.001,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=200,
        ),
    ),
)
