# Detection of objects of any class. The test measures the recall of the 12
# classes without boxes in training; the weights are those of the decoupled
# config.
_base_ = './faster-rcnn_mobilenetv2_fpn_decoupled_12e_emoji-scenes.py'

model = dict(roi_head=dict(bbox_head=dict(class_agnostic=True)))

test_dataloader = dict(
    dataset=dict(
        ann_file='test_all.json',
        metainfo=dict(classes=_base_.novel_classes),
    )
)
test_evaluator = dict(
    _delete_=True, type='sniper_mmdet.ProposalRecallMetric', num=100
)
