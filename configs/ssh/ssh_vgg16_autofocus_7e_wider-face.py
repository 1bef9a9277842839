_base_ = './ssh_vgg16_sniper_7e_wider-face.py'

# FocusPixels, level pixels: faces that a finer level is for.
_sizes = (3, 64, 90)

model = dict(
    type='sniper_mmdet.AutoFocus',
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        # The maps of module 2 and module 1.
        in_indices=(1, 0),
        in_channels=768,
        stride=16,
        sizes=_sizes,
        norm_input=True,
    ),
    focus=[
        dict(threshold=0.02, min_size=128),
        dict(threshold=0.1, min_size=192),
    ],
)
train_dataloader = dict(dataset=dict(focus_sizes=_sizes))

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
