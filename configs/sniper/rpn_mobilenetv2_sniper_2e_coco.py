_base_ = './faster-rcnn_mobilenetv2_sniper_7e_coco.py'

# Two epochs on positive chips: what negative chips are mined with.
model = dict(rpn_only=True)
train_cfg = dict(max_epochs=2, val_interval=2)
val_evaluator = dict(_delete_=True, type='sniper_mmdet.ProposalRecallMetric')
test_evaluator = val_evaluator
