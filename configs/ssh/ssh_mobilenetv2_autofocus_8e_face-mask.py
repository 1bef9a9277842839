_base_ = './ssh_mobilenetv2_sniper_8e_face-mask.py'

# As proposed for these faces: the finer level is for faces of up to 96 px at
# the coarser level.
_sizes = (2, 96, 125)

model = dict(
    type='sniper_mmdet.AutoFocus',
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        # Module 1's map.
        in_indices=(0,),
        in_channels=64,
        stride=8,
        feat_channels=64,
        sizes=_sizes,
        norm_input=True,
    ),
    focus=[dict(threshold=0.02, dilation=5, min_size=56)],
)
train_dataloader = dict(dataset=dict(focus_sizes=_sizes))

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
