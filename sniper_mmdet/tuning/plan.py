"""Plans of AutoFocus: pyramids that reach all boxes with few pixels.

The cost of a plan is the number of pixels to which the FocusPixels of the
annotated boxes lead.
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

#: Strides of FocusPixels that are tried by default. At stride 4 the focus head
#: sees less around a cell, and notices fewer objects.
STRIDES = (8, 16)

#: Share of the boxes that a plan must reach, and share of the boxes to be
#: noticed that must be large enough.
REACHED, NOTICED = 0.99, 0.95
#: The same shares for a plan that is proposed, if one has them.
SAFE = 0.99
#: Least size for which FocusPixels can be learned, level pixels, as released.
LEAST_SIZE = 5.0

# Ratios between neighbouring levels; above 6 some sizes suit no level.
_RATIOS = np.arange(2, 6.1, 0.25)
_MOST_LEVELS = 4
# Least size at which an object leaves a trace on a map, level pixels.
_TRACE = 2
# Border of AutoFocus in original pixels: FocusChips drop boxes within it.
_BORDER = 10
# Factor of the cost for a further level, which can miss objects: it must save
# a third.
_DEAR = 1.5
# Plans that cost up to so much more count as equally cheap.
_AS_CHEAP = 1.05


@dataclass(frozen=True)
class FocusPlan:
    """A pyramid, coarse to fine, and the settings of AutoFocus on it.

    Attributes:
        factors (tuple[float]): Factors of the levels.
        stride (int): Stride of FocusPixels, level pixels.
        sizes (tuple[int]): ``sizes`` of FocusPixels, level pixels, see
            :func:`~sniper_mmdet.chips.focus.focus_labels`: up to the largest
            size that the next level trains.
        focus (tuple[FocusSettings]): Settings of each level but the finest. At
            the next level FocusChips are at least as wide as an object in the
            middle of the sizes that the level is for: a larger object has
            FocusPixels all over. No object is closer to a side than
            ``border``.
        test_valid_ranges (tuple): (low, high) per level, original pixels.
        pixels (float): Mean number of level pixels per image that AutoFocus
            looks at.
        share (float): Ratio of ``pixels`` to the pixels of all levels.
        of_finest (float): Ratio of ``pixels`` to those of the finest level.
        boxes (float): Share of the boxes that AutoFocus reaches.
        noticed (float): The coarsest level must notice the boxes that its
            range does not hold. This is the share of them that are at least
            ``least_size`` there.
        smallest (float): 5th percentile of the sizes of those boxes on the
            coarsest level, level pixels.
        largest (float): Level pixels of the largest part of any counted image
            that is looked at in one piece.
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
        """float: Pixels, with a penalty for further levels."""
        return self.pixels * _DEAR ** (len(self.factors) - 2)


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
    """Search plans; return those that no other plan beats, cheapest first.

    A plan has 2 to 4 levels, a ratio of 2 to 6 apart. It reaches 99% of the
    boxes, and 95% of the boxes that the coarsest level must notice have at
    least ``least_size`` there. All sizes but those of 1% of the boxes are
    tested at a level where they are within the target, or at an end of the
    pyramid. A plan is beaten by another one that costs less and shows the
    boxes to be noticed at least as large.

    Args:
        images (ImageBoxes): The data set.
        finest (float): Factor of the finest level, original to level pixels.
        target (tuple[float]): Sizes that a level is for, level pixels.
        strides (Sequence[int]): Strides of FocusPixels to try. Defaults to 8
            and 16.
        num_levels (int, optional): Number of levels. Defaults to None: any.
        coarsest (float, optional): Largest factor of the coarsest level.
            Defaults to None: the factor at which 99% of the boxes are no
            larger than the target.
        least_size (float): Least size for which FocusPixels can be learned,
            level pixels. Defaults to :data:`LEAST_SIZE`.
        most_images (int): Upper bound of the images that are simulated, at
            even intervals; the boxes of all images count for sizes. Defaults
            to 2000.

    Returns:
        list[FocusPlan]: An empty list if no plan meets the conditions.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips import ImageBoxes
        >>> boxes = [[100, 100, 116, 116], [1500, 300, 1516, 316]]
        >>> images = ImageBoxes(
        ...     widths=np.array([2000]), heights=np.array([2000]),
        ...     boxes=np.array(boxes, np.float32), offsets=np.array([0, 2]))
        >>> plans = search_plans(images, finest=2.0, target=(64, 240))
        >>> plans[0].factors, f'{plans[0].of_finest:.1%} of the finest level'
        ((0.333, 2.0), '3.4% of the finest level')
    """
    sizes = box_sizes(images.boxes).astype(float)
    if not len(sizes):
        return []
    if coarsest is None:
        coarsest = coarsest_factor(sizes, target[1])
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


def coarsest_factor(sizes: np.ndarray, largest: float) -> float:
    """Return the factor at which 99% of the sizes are no larger than one."""
    return largest / float(np.percentile(sizes, 100 * REACHED))


def best_plan(plans: Sequence[FocusPlan]) -> FocusPlan:
    """Choose among plans of near-least cost the one with the largest boxes.

    Plans that show 99% of the boxes to be noticed large enough come first.
    """
    safe = [plan for plan in plans if plan.noticed >= SAFE] or plans
    most = safe[0].cost * _AS_CHEAP
    return [plan for plan in safe if plan.cost <= most][-1]


def _pyramids(finest, coarsest, num_levels) -> Iterator[tuple[float, ...]]:
    """Factors of pyramids to try, rounded for a config."""
    for count in range(2, _MOST_LEVELS + 1):
        for ratio in _RATIOS if num_levels in (None, count) else ():
            factors = finest / ratio ** np.arange(count - 1, -1, -1)
            if factors[0] <= coarsest * (1 + 1e-9):
                yield tuple(float(f'{factor:.3g}') for factor in factors)


def _leaves_gaps(sizes, factors, target) -> bool:
    """Whether more than 1% of the sizes are in the target of no level."""
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
