"""Proposals of settings for AutoFocus, where it pays."""

from collections.abc import Sequence
from dataclasses import replace

from sniper_mmdet.chips import ImageBoxes

from .advice import (
    MOST_CHIP,
    TARGET,
    Advice,
    chip_stride,
    ends_of,
    fitted,
    suggest,
)
from .measure import measure
from .plan import STRIDES, FocusPlan, best_plan, search_plans
from .ranges import as_range, level_ranges
from .reasons import reasons_of

#: AutoFocus pays if it looks at less than this share of the finest level.
PAYS = 0.5


def propose(
    images: ImageBoxes,
    chip_size: int | None = None,
    num_levels: int | None = None,
    strides: Sequence[int] | None = None,
    focus_stride: int | None = None,
) -> tuple[Advice, list[FocusPlan]]:
    """Propose settings for AutoFocus if it pays, else by ``suggest``.

    The finest level and the chip size are those of :func:`suggest`; the other
    levels come from the best plan of :func:`search_plans`. AutoFocus pays if
    it looks at less than half as many pixels as the whole finest level has.

    Args:
        images, chip_size, num_levels: See :func:`suggest`.
        strides (Sequence[int], optional): Strides of FocusPixels to try.
            Defaults to None: ``focus_stride``, or 8 and 16.
        focus_stride (int, optional): Stride of FocusPixels of the AutoFocus
            detector that the settings are for. With it the result has a plan
            of at least two levels, whether AutoFocus pays or not. Defaults to
            None: there is no such detector.

    Returns:
        tuple: The Advice, and the plans of the search.

    Raises:
        ValueError: See :func:`suggest`.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips import ImageBoxes
        >>> boxes = [[100, 100, 116, 116], [1500, 300, 1516, 316]]
        >>> images = ImageBoxes(
        ...     widths=np.array([2000]), heights=np.array([2000]),
        ...     boxes=np.array(boxes, np.float32), offsets=np.array([0, 2]))
        >>> advice, plans = propose(images)
        >>> advice.scales
        (0.333, 1.0, 3.0)
        >>> f'{advice.plan.of_finest:.1%} of the finest level'
        '1.5% of the finest level'
    """
    whole = suggest(images, chip_size, num_levels)
    if num_levels == 1:
        return whole, []
    if strides is None:
        strides = (focus_stride,) if focus_stride else STRIDES
    data = measure(images)[-1]
    low, high = fitted(*TARGET, chip_size or MOST_CHIP)
    finest, chip, limit, _ = ends_of(data, low, high, chip_size)
    # At this factor no box is too large, or all images are one chip.
    coarsest = max(limit, chip / data.largest_side)
    target = fitted(low, high, chip)
    finest = float(f'{finest:.3g}')
    plans = search_plans(images, finest, target, strides, num_levels, coarsest)
    levels = whole.test_pyramid.level_sizes(images.widths, images.heights)
    if plans:
        plan = best_plan(plans)
        if focus_stride or plan.pixels < PAYS * levels[:, -1].prod(-1).mean():
            return _of_plan(data, plan, chip, target), plans
    if focus_stride and len(whole.scales) < 2:
        # AutoFocus needs a coarse level.
        whole = suggest(images, chip_size, 2)
    return replace(whole, focus_stride=focus_stride or 16), plans


def _of_plan(data, plan, chip, target) -> Advice:
    bounds = level_ranges(plan.factors, target)
    *_, ranges = reasons_of(data, plan.factors, False, bounds, *target)
    finest, *_ = reasons_of(data, plan.factors[-1:], False, bounds, *target)
    coarse = (
        f'Coarsest level, {plan.factors[0]} times: AutoFocus looks at it '
        'whole, and at parts of the finer ones. 95% of the objects that it '
        f'must notice there have {plan.smallest:.1f} px or more.'
    )
    return Advice(
        scales=plan.factors,
        valid_ranges=tuple(as_range(*pair) for pair in bounds),
        test_valid_ranges=plan.test_valid_ranges,
        chip_size=chip,
        stride=chip_stride(chip),
        target=target,
        focus_sizes=plan.sizes,
        focus=plan.focus,
        reasons=(finest, coarse, ranges),
        focus_stride=plan.stride,
        plan=plan,
    )
