# AutoFocus as released, on C4 and C5 together. A config inherits this file
# beside one of SNIPER: `model = _base_.autofocus`.
autofocus = dict(
    type='sniper_mmdet.AutoFocus',
    # SNIPER's range ends at 90.
    valid_ranges=[(75, None), (32, 180), (0, 75)],
    features='backbone',
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        in_channels=3072,
        in_indices=(0, 1),
        stride=16,
        precedence='last',
    ),
    # Settings of FocusChips after the coarsest level, and after the next.
    focus=[
        dict(threshold=0.02, min_size=256),
        dict(threshold=0.2, min_size=320),
    ],
)
