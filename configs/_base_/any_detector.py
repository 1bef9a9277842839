# What makes a config of MMDetection train on chips and test on an image
# pyramid. It shares no name with them, so a config inherits both and takes
# what it needs:
#
#   _base_ = ['mmdet::retinanet/FILE.py', '../_base_/any_detector.py']
#   model = dict(_base_.pyramid, detector='RetinaNet')
#   train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
#   val_dataloader = dict(_base_.image_dataloader, _delete_=True)
#   test_dataloader = val_dataloader
#   custom_hooks = _base_.chip_hooks
#
# How it ignores a box that a chip does not train: docs/own_data.md. Where it
# has no way to:
#
#   train_dataloader['dataset'].update(out_of_range='drop')
#
# tools/sniperize.py writes such a config for another one and its data.
_base_ = './datasets/chips.py'

pyramid = dict(
    type='sniper_mmdet.PyramidDetector',
    # Test levels and ranges of the released code; wider than in training.
    scales=[(480, 512), (800, 1280), (1400, 2000)],
    valid_ranges=[(75, None), (32, 180), (0, 90)],
    data_preprocessor=dict(
        # Some detectors are only ever tested on sizes that their strides
        # divide; levels have any.
        pad_size_divisor=32,
        # A level that is smaller than a chip is padded to one, so that every
        # batch has the same shape.
        batch_augments=[dict(type='BatchFixedSizePad', size=(512, 512))],
    ),
)
# Weak boxes and near ones are for the soft-NMS that merges the levels: NMS of
# a level only takes out what is all but double.
level_nms = dict(
    score_thr=0.001,
    nms=dict(type='nms', iou_threshold=0.7),
    max_per_img=300,
)
# What is like an ignored box trains nothing, in the RPN or after it.
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
