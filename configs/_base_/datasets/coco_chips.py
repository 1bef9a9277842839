# COCO-format data, trained on chips and tested on whole images.
# The settings are those of the released SNIPER code.
_base_ = './chips.py'

data_root = 'data/coco/'

train_pipeline = _base_.chip_pipeline
train_dataloader = _base_.chip_dataloader
val_dataloader = _base_.image_dataloader
test_dataloader = val_dataloader

val_evaluator = dict(
    type='CocoMetric',
    ann_file=data_root + 'annotations/instances_val2017.json',
    metric='bbox',
)
test_evaluator = val_evaluator

custom_hooks = _base_.chip_hooks
