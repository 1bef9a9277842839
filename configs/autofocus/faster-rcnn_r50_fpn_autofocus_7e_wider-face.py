_base_ = [
    '../sniper/faster-rcnn_r50_fpn_sniper_7e_wider-face.py',
    '../_base_/autofocus_fpn.py',
]

# FocusPixels, level pixels: faces that a finer level is for.
_sizes = (3, 64, 90)

model = dict(
    _base_.autofocus,
    valid_ranges=[(80, None), (28, 150), (0, 50)],
    focus=[
        dict(threshold=0.02, min_size=128),
        dict(threshold=0.1, min_size=192),
    ],
)
# The detector's first map has stride 4.
model['focus_head'].update(in_indices=(2, 1), sizes=_sizes)
train_dataloader = dict(dataset=dict(focus_sizes=_sizes))

val_evaluator = [_base_.val_evaluator, dict(type='sniper_mmdet.PixelsMetric')]
test_evaluator = val_evaluator
