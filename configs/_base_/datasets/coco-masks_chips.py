# COCO-format data with masks, trained on chips and tested on whole images.
_base_ = './coco_chips.py'

train_pipeline = _base_.mask_chip_pipeline
train_dataloader = dict(
    # As released.
    batch_size=10,
    dataset=dict(pipeline=train_pipeline),
)

val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator
