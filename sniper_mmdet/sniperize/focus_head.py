"""Choice of the feature maps of a focus head."""

import math

from sniper_mmdet.tuning.plan import STRIDES

from .draft import Draft

# Stride that a plan has only where a detector has no map of another one.
_LAST_RESORT = 4


def focus_strides(maps: list[tuple[int, int]]) -> list[int]:
    """Return strides for a plan from feature maps (channels, stride).

    They are sorted from fine to coarse. 4 is one of them if there is no other.
    """
    known = {stride for _, stride in maps}
    return sorted(known.intersection(STRIDES) or known & {_LAST_RESORT})


def focus_head_config(
    maps: list[tuple[int, int]], stride: int | None = None
) -> dict:
    """Return the part of a focus head's config that depends on the maps.

    Args:
        maps (list[tuple]): Channels and stride of each map.
        stride (int, optional): Stride of FocusPixels, that of a map. The head
            takes this map and the next coarser one, which has more context.
            Defaults to None, as released: the stride nearest to 16, and with
            16 also the map of stride 8.

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
    """Return the settings that AutoFocus adds: its focus head.

    The head sees the maps of the proposed plan, else those of strides 16 and 8
    if they exist.
    """
    advice = draft.advice
    head = dict(type='sniper_mmdet.FocusHead')
    head.update(focus_head_config(maps, advice and advice.focus_stride))
    stride, strides = head['stride'], [stride for _, stride in maps]
    if stride != 16 and not advice:
        draft.note(
            f'No map of the {features} has stride 16; FocusPixels are cells '
            f'of the map of stride {stride} (there are: {strides}).'
        )
    thresholds = 'thresholds of focus are' if advice else 'focus is'
    draft.note(
        f'{thresholds} as released; tools/analysis_tools/focus_curve.py shows '
        'which thresholds suit the trained focus head.'
    )
    settings = dict(focus_head=head)
    if advice:
        head['sizes'] = advice.focus_sizes
        settings['focus'] = [vars(step) for step in advice.focus]
    where = {} if features == 'neck' else dict(features=features)
    return dict(settings, **where)
