# The schedule of the released networks: offsets of RoI bins learn slowly, and
# biases and shifts have no weight decay.
_base_ = './sniper_7e.py'

optim_wrapper = dict(
    paramwise_cfg=dict(
        bias_decay_mult=0.0,
        custom_keys={
            'roi_extractor.offset': dict(lr_mult=0.01),
            # Only the longest matching name counts.
            'roi_extractor.offset.bias': dict(lr_mult=0.01, decay_mult=0.0),
        },
    )
)
