# The schedule of the slim detectors, with MMDetection's names.
_base_ = './slim.py'

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = _base_.slim_optimizer
param_scheduler = _base_.slim_schedule
