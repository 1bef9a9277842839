# Settings that make a config of MMDetection train on chips and test on an
# image pyramid. No name here is used by MMDetection's configs, so that a
# config can inherit both and take what it needs:
#
#   _base_ = ['mmdet::retinanet/FILE.py', '../_base_/any_detector.py']
#   model = dict(_base_.pyramid, detector='RetinaNet')
#   train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
#   val_dataloader = dict(_base_.image_dataloader, _delete_=True)
#   test_dataloader = val_dataloader
#   custom_hooks = _base_.chip_hooks
#
# docs/own_data.md says how a detector ignores boxes that a chip does not
# train. For a detector that cannot ignore boxes:
#
#   train_dataloader['dataset'].update(out_of_range='drop')
#
# tools/sniperize.py writes such a config from yours.
_base_ = './datasets/chips.py'

pyramid = dict(
    type='sniper_mmdet.PyramidDetector',
    # Test levels and ranges of the released code; wider than in training.
    scales=[(480, 512), (800, 1280), (1400, 2000)],
    valid_ranges=[(75, None), (32, 180), (0, 90)],
    data_preprocessor=dict(
        # Some detectors need sizes that are multiples of their strides; levels
        # have any size.
        pad_size_divisor=32,
        # A level that is smaller than a chip is padded to one, so that every
        # batch has the same shape.
        batch_augments=[dict(type='BatchFixedSizePad', size=(512, 512))],
    ),
)
# The soft-NMS that merges the levels needs weak boxes and near ones: NMS of a
# level only removes near duplicates.
level_nms = dict(
    score_thr=0.001,
    nms=dict(type='nms', iou_threshold=0.7),
    max_per_img=300,
)
# Boxes that resemble an ignored box train nothing, in the RPN and after it.
two_stage = dict(
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
    test_cfg=dict(rpn=dict(max_per_img=300), rcnn=level_nms),
)
