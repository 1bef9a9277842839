"""Which sizes a level trains and tests, given those that it is for."""

import math
from collections.abc import Iterable, Sequence

from sniper_mmdet.chips.pyramid import Range

#: Neighbouring ranges of training overlap at least by this factor.
OVERLAP = 1.3
#: Test ranges to training ranges: 80 to 90, 150 to 180, 120 to 75 as released.
WIDER = 1.2


def level_ranges(
    factors: Sequence[float], target: tuple[float, float]
) -> list[tuple[float, float]]:
    """Sizes that levels train, coarse to fine: original pixels.

    A level trains what is within the target there, the finest also all below,
    the coarsest all above. However far apart two levels are, their ranges
    overlap.
    """
    low, high = target
    neighbours = zip(factors, factors[1:], strict=False)
    starts = [min(low / a, high / b / OVERLAP) for a, b in neighbours]
    ends = [high / factor for factor in factors[1:]]
    return list(zip([*starts, 0.0], [math.inf, *ends], strict=True))


def test_ranges(
    factors: Sequence[float], target: tuple[float, float]
) -> tuple[Range, ...]:
    """Valid ranges of testing: those of training, wider at both ends."""
    return _wider(level_ranges(factors, target))


def focused_ranges(factors: Sequence[float], high: float) -> tuple[Range, ...]:
    """Valid ranges of AutoFocus: neighbours meet where FocusPixels end.

    All below has a FocusPixel, and the finer level finds it better, also
    where the coarse one trains on it. Both ends are wider than that.

    Args:
        factors (Sequence[float]): Of levels, coarse to fine.
        high (float): Largest size that a level is for, level pixels.
    """
    ends = [high / factor for factor in factors[1:]]
    return _wider(zip([*ends, 0.0], [math.inf, *ends], strict=True))


def _wider(bounds: Iterable[tuple[float, float]]) -> tuple[Range, ...]:
    return tuple(as_range(low / WIDER, high * WIDER) for low, high in bounds)


def as_range(low: float, high: float) -> Range:
    """Whole pixels, the lower end down and the upper end up."""
    return (
        math.floor(low + 1e-6) or None,
        None if high == math.inf else math.ceil(high - 1e-6),
    )
