# AutoFocus for a detector with a feature pyramid whose first maps have strides
# 8 and 16. A config inherits this file beside one of SNIPER:
# `model = _base_.autofocus`.
autofocus = dict(
    type='sniper_mmdet.AutoFocus',
    # As released; SNIPER's range ends at 90.
    valid_ranges=[(75, None), (32, 180), (0, 75)],
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        # The maps of stride 16 and 8.
        in_indices=(1, 0),
        in_channels=512,
        stride=16,
    ),
    # Settings of FocusChips after the coarsest level, and after the next.
    focus=[
        dict(threshold=0.02, min_size=256),
        dict(threshold=0.2, min_size=320),
    ],
)
