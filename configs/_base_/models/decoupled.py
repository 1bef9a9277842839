# Settings that decouple the classes of a two-stage detector from its boxes
# (R-FCN-3000). No name here is used by MMDetection's configs, so that a config
# can inherit both and take what it needs:
#
#   _base_ = ['mmdet::faster_rcnn/FILE.py', '../_base_/models/decoupled.py']
#   model = dict(_base_.decoupled)
#
# A C4 detector takes decoupled_c4. For a cascade see
# configs/decoupled/cascade-rcnn_r50_fpn_decoupled_1x_coco.py.
_test = dict(
    score_thr=0.001,
    # As released: RoIs with a lower P(object) get no class.
    min_objectness=0.01,
    nms_pre=3000,
    max_per_img=200,
)
# To the RPN, an image with an image-level label has no background; everything
# else is as with MaxIoUAssigner.
_image_level = dict(
    rpn=dict(
        assigner=dict(
            type='sniper_mmdet.RangeAwareAssigner', ignore_iou_thr=1.0
        )
    )
)

decoupled_head = dict(
    type='sniper_mmdet.DecoupledBBoxHead', reg_class_agnostic=True
)
decoupled = dict(
    roi_head=dict(
        type='sniper_mmdet.DecoupledRoIHead', bbox_head=decoupled_head
    ),
    train_cfg=_image_level,
    test_cfg=dict(rcnn=_test),
)
decoupled_c4 = dict(
    decoupled,
    roi_head=dict(
        type='sniper_mmdet.DecoupledRoIHead',
        bbox_head=dict(
            type='sniper_mmdet.DecoupledPooledBBoxHead',
            reg_class_agnostic=True,
        ),
    ),
)
