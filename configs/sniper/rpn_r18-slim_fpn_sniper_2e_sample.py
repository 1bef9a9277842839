# Negative chips are mined from the proposals of this RPN.
_base_ = './faster-rcnn_r18-slim_fpn_sniper_2e_sample.py'

model = dict(rpn_only=True)
train_cfg = dict(max_epochs=2, val_interval=2)
val_evaluator = dict(metric='proposal')
test_evaluator = val_evaluator
