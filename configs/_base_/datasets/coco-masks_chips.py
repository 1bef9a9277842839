# COCO-format data with masks, trained on chips and tested on whole images.
_base_ = './coco_chips.py'

train_pipeline = _base_.train_pipeline
train_pipeline[1].with_mask = True

train_dataloader = dict(
    # As released.
    batch_size=10,
    dataset=dict(pipeline=train_pipeline),
)

val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator
