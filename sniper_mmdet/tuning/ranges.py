"""Valid ranges of levels in training and testing."""

import math
from collections.abc import Iterable, Sequence

from sniper_mmdet.chips.pyramid import Range

#: Neighbouring ranges of training overlap by at least this factor.
OVERLAP = 1.3
#: Ratios of the released test ranges to the training ranges: 80 to 90, 150 to
#: 180, 120 to 75.
WIDER = 1.2


def level_ranges(
    factors: Sequence[float], target: tuple[float, float]
) -> list[tuple[float, float]]:
    """Valid ranges of training, coarse to fine, original pixels.

    A level trains the sizes within the target there, the finest level also all
    smaller sizes, the coarsest level all larger sizes. The ranges of
    neighbours overlap, however far apart the levels are.

    Examples:
        >>> level_ranges((0.5, 2), target=(60, 240))
        [(92.3076923076923, inf), (0.0, 120.0)]
    """
    low, high = target
    neighbours = zip(factors, factors[1:], strict=False)
    starts = [min(low / a, high / b / OVERLAP) for a, b in neighbours]
    ends = [high / factor for factor in factors[1:]]
    return list(zip([*starts, 0.0], [math.inf, *ends], strict=True))


def test_ranges(
    factors: Sequence[float], target: tuple[float, float]
) -> tuple[Range, ...]:
    """Valid ranges of testing, wider than those of training at both ends."""
    return _wider(level_ranges(factors, target))


def focused_ranges(factors: Sequence[float], high: float) -> tuple[Range, ...]:
    """Valid ranges of testing for AutoFocus, which meet where FocusPixels end.

    All smaller objects have FocusPixels, and the finer level detects them
    better, even those on which the coarse level trains. Both ends of a range
    are wider than that.

    Args:
        factors (Sequence[float]): Factors of the levels, coarse to fine.
        high (float): Largest size that a level is for, level pixels.
    """
    ends = [high / factor for factor in factors[1:]]
    return _wider(zip([*ends, 0.0], [math.inf, *ends], strict=True))


def _wider(bounds: Iterable[tuple[float, float]]) -> tuple[Range, ...]:
    return tuple(as_range(low / WIDER, high * WIDER) for low, high in bounds)


def as_range(low: float, high: float) -> Range:
    """Round a range to whole pixels, outwards."""
    return (
        math.floor(low + 1e-6) or None,
        None if high == math.inf else math.ceil(high - 1e-6),
    )
