"""Settings for AutoFocus, where that pays."""

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

#: AutoFocus pays where it looks at less of the finest level's pixels.
PAYS = 0.5


def propose(
    images: ImageBoxes,
    chip_size: int | None = None,
    num_levels: int | None = None,
    strides: Sequence[int] | None = None,
    focus_stride: int | None = None,
) -> tuple[Advice, list[FocusPlan]]:
    """Settings for AutoFocus where that pays; those of :func:`suggest` else.

    The finest level and chips are those of :func:`suggest`; the other levels
    are of the best plan, see :func:`search_plans`. It pays where less than
    half of the pixels of the finest level whole are looked at.

    Args:
        images, chip_size, num_levels: See :func:`suggest`.
        strides (Sequence[int], optional): Of FocusPixels, those that can be
            had. Defaults to None: ``focus_stride``, or 8 and 16.
        focus_stride (int, optional): Of FocusPixels, of the AutoFocus
            detector that the settings are for, whether it pays or not: of
            two levels at least. Defaults to None: there is no such detector.

    Returns:
        tuple: Advice, and the plans that were to choose from.

    Raises:
        ValueError: See :func:`suggest`.
    """
    whole = suggest(images, chip_size, num_levels)
    if num_levels == 1:
        return whole, []
    if strides is None:
        strides = (focus_stride,) if focus_stride else STRIDES
    data = measure(images)[-1]
    low, high = fitted(*TARGET, chip_size or MOST_CHIP)
    finest, chip, limit, _ = ends_of(data, low, high, chip_size)
    # No box is too large for it, or all images are one chip there.
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
        # It needs a level to focus from.
        whole = suggest(images, chip_size, 2)
    return replace(whole, focus_stride=focus_stride or 16), plans


def _of_plan(data, plan, chip, target) -> Advice:
    bounds = level_ranges(plan.factors, target)
    *_, ranges = reasons_of(data, plan.factors, False, bounds, *target)
    finest, *_ = reasons_of(data, plan.factors[-1:], False, bounds, *target)
    coarse = (
        f'Coarsest level, {plan.factors[0]} times: AutoFocus looks at it '
        'whole, and at parts of the finer ones. What it must notice there has '
        f'{plan.smallest:.1f} px or more (95%).'
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
