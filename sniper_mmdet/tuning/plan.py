"""Plans: pyramids on which AutoFocus looks at little and reaches all.

A plan costs what true FocusPixels, those of the annotated boxes, lead to.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sniper_mmdet.chips import (
    FocusSettings,
    ImageBoxes,
    ImagePyramid,
    box_sizes,
)
from sniper_mmdet.chips.presets import RELEASED_FOCUS
from sniper_mmdet.chips.pyramid import Range

from .costs import some_images
from .looking import look
from .ranges import OVERLAP, WIDER, focused_ranges

#: Strides of FocusPixels that are tried unless others are asked for. One of 4
#: takes four times as many cells of the focus head as one of 8, and shows it
#: less around each.
STRIDES = (8, 16)

#: Share of the boxes that a plan must reach, and of those to be noticed that
#: must be large enough for it.
REACHED, NOTICED = 0.99, 0.95
#: The same, of a plan that is proposed, if there is one.
SAFE = 0.99
#: Least size that a FocusPixel can be learned for, level pixels, as released.
LEAST_SIZE = 5.0

# Between neighbouring levels; above 6, sizes are between two levels.
_RATIOS = np.arange(2, 6.1, 0.25)
_MOST_LEVELS = 4
# What an object must have at least of to leave a trace on a map, level pixels.
_TRACE = 2
# Original pixels around a FocusChip, of AutoFocus: no box there is kept.
_BORDER = 10
# What a further level, on which objects can be missed, or cells below 8 px
# count as: they must save a third.
_DEAR = 1.5
# What costs up to so much more is as cheap.
_AS_CHEAP = 1.05


@dataclass(frozen=True)
class FocusPlan:
    """A pyramid, coarse to fine, and how AutoFocus goes through it.

    Attributes:
        factors (tuple[float]): Levels.
        stride (int): Of FocusPixels, level pixels.
        sizes (tuple[int]): Of FocusPixels, level pixels, see
            :func:`~sniper_mmdet.chips.focus.focus_labels`: up to the largest
            that the next level trains.
        focus (tuple[FocusSettings]): One a level but the finest. FocusChips
            are at least as wide, at the next level, as an object in the
            middle of what that is for: a larger one has FocusPixels all over.
            No object is as close to a side as ``border``.
        test_valid_ranges (tuple): (low, high) a level, original pixels.
        pixels (float): Level pixels an image that are looked at, on average.
        share (float): Of those of all its levels.
        of_finest (float): Of those of its finest level.
        boxes (float): Share of the boxes that are reached.
        noticed (float): Share of the boxes that the coarsest level must
            notice, since its range does not hold them, that are at least
            ``least_size`` there.
        smallest (float): Of those boxes, the 5th percentile of sizes on that
            level, level pixels.
        largest (float): Level pixels of the largest part that is looked at
            in one piece, in any image that was counted.
    """

    factors: tuple[float, ...]
    stride: int
    sizes: tuple[int, int, int]
    focus: tuple[FocusSettings, ...]
    test_valid_ranges: tuple[Range, ...]
    pixels: float
    share: float
    of_finest: float
    boxes: float
    noticed: float
    smallest: float
    largest: float

    @property
    def cost(self) -> float:
        """float: Pixels, and more for further levels and for small cells."""
        dear = len(self.factors) - 2 + (self.stride < 8)
        return self.pixels * _DEAR**dear


def search_plans(
    images: ImageBoxes,
    finest: float,
    target: tuple[float, float] = (64.0, 240.0),
    strides: Sequence[int] = STRIDES,
    num_levels: int | None = None,
    coarsest: float | None = None,
    least_size: float = LEAST_SIZE,
    most_images: int = 2000,
) -> list[FocusPlan]:
    """The plans that no other one beats, cheapest first.

    Levels are from 2 to 4, a ratio of 2 to 6 apart. A plan reaches 99% of the
    boxes and shows 95% of those that the coarsest level must notice at
    ``least_size`` there; each size but 1% of the boxes is tested at a level
    where it is within the target, or at an end of the pyramid. Beaten is what
    costs more than another one and shows what must be noticed no larger.

    Args:
        images (ImageBoxes): The data set.
        finest (float): Factor of the finest level.
        target (tuple[float]): Sizes that a level is for, level pixels.
        strides (Sequence[int]): Of FocusPixels, those that can be had.
            Defaults to 8 and 16.
        num_levels (int, optional): Defaults to None: any number.
        coarsest (float, optional): The largest factor of a coarsest level.
            Defaults to None: at which 99% of the boxes are no larger than
            the target.
        least_size (float): Least size that a FocusPixel can be learned for,
            level pixels. Defaults to :data:`LEAST_SIZE`.
        most_images (int): Images that are looked at, evenly drawn; of sizes
            all boxes count. Defaults to 2000.

    Returns:
        list[FocusPlan]: None where no plan does all this.
    """
    sizes = box_sizes(images.boxes).astype(float)
    if not len(sizes):
        return []
    if coarsest is None:
        coarsest = target[1] / float(np.percentile(sizes, 99))
    some = some_images(images, most_images)
    plans = []
    for factors in _pyramids(finest, coarsest, num_levels):
        ranges = focused_ranges(factors, target[1])
        needing = sizes[sizes < (ranges[0][0] or 0)] * factors[0]
        if not len(needing) or _leaves_gaps(sizes, factors, target):
            continue
        noticed = float((needing >= least_size).mean())
        if noticed >= NOTICED:
            known = ranges, noticed, float(np.percentile(needing, 5))
            plans += [_plan(some, factors, target, s, *known) for s in strides]
    plans = [plan for plan in plans if plan.boxes >= REACHED]
    plans.sort(key=lambda plan: plan.cost)
    best, frontier = 0.0, []
    for plan in plans:
        if plan.smallest > best:
            best = plan.smallest
            frontier.append(plan)
    return frontier


def best_plan(plans: Sequence[FocusPlan]) -> FocusPlan:
    """Of a frontier: what shows most of those that cost next to the least.

    Plans that show 99% of what must be noticed large enough come first.
    """
    safe = [plan for plan in plans if plan.noticed >= SAFE] or plans
    most = safe[0].cost * _AS_CHEAP
    return [plan for plan in safe if plan.cost <= most][-1]


def _pyramids(finest, coarsest, num_levels) -> Iterator[tuple[float, ...]]:
    """Factors, rounded as a config has them."""
    for count in range(2, _MOST_LEVELS + 1):
        for ratio in _RATIOS if num_levels in (None, count) else ():
            factors = finest / ratio ** np.arange(count - 1, -1, -1)
            if factors[0] <= coarsest * (1 + 1e-9):
                yield tuple(float(f'{factor:.3g}') for factor in factors)


def _leaves_gaps(sizes, factors, target) -> bool:
    """Whether more than 1% of the sizes are within no level's target."""
    low, high = target[0] / WIDER, target[1] * WIDER
    between = np.zeros(len(sizes), bool)
    for coarse, fine in zip(factors, factors[1:], strict=False):
        between |= (sizes * coarse < low) & (sizes * fine > high)
    return between.mean() > 1 - REACHED


def _plan(
    images, factors, target, stride, ranges, noticed, smallest
) -> FocusPlan:
    pyramid = ImagePyramid(factors, ranges)
    reach = target[1] * factors[-2] / factors[-1]
    typical = math.sqrt(target[0] * target[1]) * factors[-2] / factors[-1]
    cells = math.ceil(typical / stride)
    focus = tuple(
        replace(
            RELEASED_FOCUS[level > 0],
            dilation=2 * max(math.ceil(_BORDER * factor / stride), 1) + 1,
            min_size=cells * stride,
        )
        for level, factor in enumerate(factors[:-1])
    )
    sizes = _TRACE, round(reach), round(OVERLAP * reach)
    looked = look(images, pyramid, sizes, focus, stride, _BORDER)
    whole = pyramid.level_sizes(images.widths, images.heights).prod(-1).sum(0)
    pixels = looked.pixels.sum()
    return FocusPlan(
        factors,
        stride,
        sizes,
        focus,
        ranges,
        pixels=float(pixels / len(images)),
        share=float(pixels / whole.sum()),
        of_finest=float(pixels / whole[-1]),
        boxes=float(looked.reached.mean()) if len(looked.reached) else 1.0,
        noticed=noticed,
        smallest=smallest,
        largest=float(looked.largest.max()),
    )
