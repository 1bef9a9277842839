# As released: 21,000 updates of 8 images, on 4 GPUs with one image each and
# two steps per update. That is 13 passes over the 12,880 images of WIDER FACE.
# Use larger `accumulative_counts` on fewer GPUs.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=13, val_interval=13)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# Biases learn twice as fast. Biases of the modules and heads have no weight
# decay, those before them have.
_bias = dict(lr_mult=2.0, decay_mult=1.0)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.004, momentum=0.9, weight_decay=0.0005),
    accumulative_counts=2,
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={
            'backbone.stages.2.0.conv.bias': _bias,
            'backbone.stages.2.1.conv.bias': _bias,
            'backbone.stages.2.2.conv.bias': _bias,
            'backbone.stages.3.0.conv.bias': _bias,
            'backbone.stages.3.1.conv.bias': _bias,
            'backbone.stages.3.2.conv.bias': _bias,
            'backbone.stages.4.0.conv.bias': _bias,
            'backbone.stages.4.1.conv.bias': _bias,
            'backbone.stages.4.2.conv.bias': _bias,
            'neck.laterals.0.conv.bias': _bias,
            'neck.laterals.1.conv.bias': _bias,
            'neck.fusion.conv.bias': _bias,
        },
    ),
)
# After 18,000 of 21,000 updates; see sniper_7e.py.
param_scheduler = [
    dict(
        type='ConstantLR',
        factor=0.1,
        begin=11.18,
        end=10**9,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=4)
