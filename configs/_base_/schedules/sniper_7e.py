# Schedule of the released code: 8 GPUs x 16 chips, 7 epochs.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=7, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.015, momentum=0.9, weight_decay=0.0001),
)

param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.0005 / 0.015,
        by_epoch=False,
        begin=0,
        end=1000,
    ),
    # The rate drops after 5.33 epochs, which MultiStepLR cannot do. ConstantLR
    # takes its factor back at its end, so that the end is out of reach.
    dict(
        type='ConstantLR',
        factor=0.1,
        begin=5.33,
        end=10**9,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]

auto_scale_lr = dict(enable=False, base_batch_size=128)
