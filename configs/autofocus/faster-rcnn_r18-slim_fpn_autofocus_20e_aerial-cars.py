_base_ = '../sniper/faster-rcnn_r18-slim_fpn_sniper_20e_aerial-cars.py'

model = dict(
    type='sniper_mmdet.AutoFocus',
    max_proposals=100,
    # Cars below 36 px are for the finest level. Cells have 8 px, so that
    # FocusChips are little larger than a car.
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        in_channels=128,
        in_indices=(1, 2),
        stride=8,
        feat_channels=64,
        sizes=(3, 36, 54),
        loss_weight=4.0,
    ),
    focus=[
        dict(threshold=0.05, dilation=3, min_size=64),
        dict(threshold=0.2, dilation=3, min_size=64),
    ],
)

# Most of a frame has no cars.
train_dataloader = dict(
    sampler=dict(epoch_size=1000),
    dataset=dict(negatives=dict(max_per_image=4)),
)
# The measured runs mined on whole images.
custom_hooks = [
    dict(
        type='sniper_mmdet.NegativeChipMiningHook',
        start=5,
        interval=5,
        images_per_pass='all',
        focused=False,
    )
]

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
