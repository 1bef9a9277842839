"""The focus head that goes with a detector's feature maps."""

import math

from .draft import Draft

# Of feature maps whose cells can be the FocusPixels of a plan.
_STRIDES = (4, 8, 16)


def focus_strides(maps: list[tuple[int, int]]) -> list[int]:
    """Of feature maps, (channels, stride), the strides that a plan can have.

    From fine to coarse; none where a detector has no such map.
    """
    return sorted({stride for _, stride in maps}.intersection(_STRIDES))


def focus_head_config(
    maps: list[tuple[int, int]], stride: int | None = None
) -> dict:
    """What a focus head takes of feature maps: a part of its config.

    Args:
        maps (list[tuple]): Channels and stride of each.
        stride (int, optional): Of FocusPixels, of one of the maps: that one
            is taken, and the next coarser beside it, which shows more around
            an object. Defaults to None, as released: the stride nearest to
            16, and beside 16 that of 8.

    Returns:
        dict: ``in_channels``, ``in_indices`` and ``stride``.
    """
    deepest = {stride: i for i, (_, stride) in enumerate(maps)}
    beside = 2 * stride if stride else 8
    if stride is None:
        stride = min(
            deepest, key=lambda s: (abs(math.log2(s) - 4), -deepest[s])
        )
        beside = 8 if stride == 16 else stride
    used = [deepest[stride]]
    if beside in deepest and beside != stride:
        used.append(deepest[beside])
    channels = sum(maps[i][0] for i in used)
    return dict(in_channels=channels, in_indices=tuple(used), stride=stride)


def focus_settings(
    draft: Draft, features: str, maps: list[tuple[int, int]]
) -> dict:
    """What an AutoFocus detector has besides a pyramid's: its focus head.

    That sees the maps of the plan that is proposed, else those of strides 16
    and 8 if there are such.
    """
    advice = draft.advice
    head = dict(type='sniper_mmdet.FocusHead')
    head.update(focus_head_config(maps, advice and advice.focus_stride))
    stride, strides = head['stride'], [stride for _, stride in maps]
    if stride != 16 and not advice:
        draft.note(
            f'No map of the {features} has stride 16; FocusPixels are cells '
            f'of the one of stride {stride} (there are: {strides}).'
        )
    thresholds = 'thresholds of focus are' if advice else 'focus is'
    draft.note(
        f'{thresholds} as released; tools/analysis_tools/focus_curve.py tells '
        'which thresholds suit the trained focus head.'
    )
    settings = dict(focus_head=head)
    if advice:
        head['sizes'] = advice.focus_sizes
        settings['focus'] = [vars(step) for step in advice.focus]
    where = {} if features == 'neck' else dict(features=features)
    return dict(settings, **where)
