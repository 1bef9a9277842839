# The schedule of the slim detectors for a pretrained backbone, which learns at
# a tenth of the rate.
_base_ = './adamw_slim.py'

optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))
)
