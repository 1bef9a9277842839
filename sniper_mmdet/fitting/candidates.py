"""Candidates for the settings of AutoFocus."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations, product

import numpy as np

from sniper_mmdet.chips.pyramid import Range
from sniper_mmdet.tuning.plan import LEAST_SIZE

from .simulation import Setting

#: Values that are tried together, and then varied by factors.
THRESHOLDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_TIMES = (0.5, 0.7, 0.85, 1.2, 1.4, 2)
_CHIPS = (32, 64, 128, 256)
#: Values that are tried one by one.
_DILATIONS = (1, 2, 3, 5)
_MIN_SIZES = (32, 48, 64, 96, 128, 192, 256, 320)
#: Factors by which ranges exceed the size at which they would meet.
_OVERLAPS = (1.0, 1.2, 1.5)


def pyramids(
    factors: np.ndarray, finest: int, size: float, smallest: float = np.inf
) -> list[tuple[tuple[int, ...], tuple[Range, ...]]]:
    """Return pyramids to try: two or three levels, and their test ranges.

    Args:
        factors (ndarray (L,)): Factors of all levels, coarse to fine.
        finest (int): Index of the finest level; its neighbours are tried too.
        size (float): Size in level pixels below which objects have
            FocusPixels: there the ranges of two levels meet.
        smallest (float): Size in original pixels that the coarsest level must
            show large enough to be noticed: in few images chance decides
            whether smaller ones are. It has no effect if no level does so.
            Defaults to inf: any level will do.
    """
    noticing = np.flatnonzero(factors * smallest >= LEAST_SIZE)
    ends = [k for k in range(finest - 1, finest + 2) if 0 < k < len(factors)]
    every: list[tuple[int, ...]] = []
    for end in ends:
        every += [(k, end) for k in range(end) if _apart(factors, k, end)]
        every += [
            (*pair, end)
            for pair in combinations(range(end), 2)
            if _apart(factors, pair[0], end)
        ]
    tried = []
    for levels in [one for one in every if one[0] in noticing] or every:
        tried += with_ranges(levels, factors, size)
    return tried


def with_ranges(
    levels: tuple[int, ...], factors: np.ndarray, size: float
) -> list[tuple[tuple[int, ...], tuple[Range, ...]]]:
    """Return levels with test ranges to try; see :func:`pyramids`."""
    meet = size / factors[list(levels[:-1])]
    return [(levels, _ranges(meet, over)) for over in _OVERLAPS]


def _apart(factors: np.ndarray, coarse: int, fine: int) -> bool:
    """Whether two levels are a factor of two apart, up to rounding."""
    return bool(2 * factors[coarse] <= factors[fine] * 1.01)


def _ranges(meet: np.ndarray, over: float) -> tuple[Range, ...]:
    """Return ranges that overlap about the sizes where they would meet."""
    lows = [*(round(one / over, 1) for one in meet.tolist()), None]
    highs = [None, *(round(one * over, 1) for one in meet.tolist())]
    return tuple(zip(lows, highs, strict=True))


def grid(
    setting: Setting, thresholds: Iterable[tuple[float, ...]]
) -> Iterator[Setting]:
    """Yield each threshold with each least chip."""
    for values, chip in product(thresholds, _CHIPS):
        focus = (replace(step, min_size=chip) for step in setting.focus)
        changed = replace(setting, focus=tuple(focus))
        yield with_thresholds(changed, values)


def with_thresholds(setting: Setting, values: Iterable[float]) -> Setting:
    """Return a setting with other thresholds, of three digits."""
    focus = tuple(
        replace(step, threshold=_short(value))
        for step, value in zip(setting.focus, values, strict=True)
    )
    return replace(setting, focus=focus)


def neighbours(setting: Setting, few: bool = False) -> Iterator[Setting]:
    """Yield settings that differ in one value.

    The border is not varied: the simulation does not know what the side of a
    chip cuts, so that no border would always seem best. With ``few`` objects
    the dilation is not varied either: the least always seems enough.
    """
    dilations = () if few else _DILATIONS
    for k, step in enumerate(setting.focus):
        for change in (
            *(dict(dilation=value) for value in dilations),
            *(dict(min_size=value) for value in _MIN_SIZES),
            *(dict(threshold=_short(step.threshold * x)) for x in _TIMES),
        ):
            focus = list(setting.focus)
            focus[k] = replace(step, **change)
            yield replace(setting, focus=tuple(focus))


def _short(threshold: float) -> float:
    return float(f'{threshold:.3g}')
