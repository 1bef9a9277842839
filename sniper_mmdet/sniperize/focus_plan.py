"""Choice of levels for a trained detector."""

from collections.abc import Sequence

import numpy as np
from mmengine.config import Config

from sniper_mmdet.chips import ImageBoxes, ImagePyramid, box_sizes
from sniper_mmdet.tuning.advice import TARGET
from sniper_mmdet.tuning.plan import (
    LEAST_SIZE,
    FocusPlan,
    best_plan,
    coarsest_factor,
    search_plans,
)
from sniper_mmdet.tuning.ranges import WIDER
from sniper_mmdet.utils.progress import announce
from sniper_mmdet.utils.type_names import name_of

from .focus_head import focus_strides
from .rules import dicts, leaves

# Plans that cost up to so much more count as equally cheap.
_ALIKE = 1.5
# Factors by which the sizes that a level is for are widened until there is a
# plan. They have no sharp ends, and are known from few objects.
_WIDENED = 1, 1.2, 1.44


def trained_for(
    cfg: Config, images: ImageBoxes
) -> tuple[float, tuple[float, float]]:
    """Read from a config the sizes for which a detector was trained.

    A PyramidDetector gives its finest level and its ranges. Another detector
    gives the size to which its test pipeline resizes images, and the sizes of
    most boxes there.

    Args:
        cfg (Config): Config of a plain detector or of a PyramidDetector.
        images (ImageBoxes): The training data.

    Returns:
        tuple: Factor of the finest level, and (low, high) sizes that a level
        is for, level pixels.
    """
    width, height = np.median(images.sizes, 0)
    if scales := cfg.model.get('scales'):
        pyramid = ImagePyramid(scales, cfg.model.get('valid_ranges'))
        factors = pyramid.factors(width, height)
        low = (pyramid.bounds[0][0] * WIDER) * factors[0]
        high = pyramid.bounds[-1][1] / WIDER * factors[-1]
        known = 0 < low < high < np.inf
        target = (float(low), float(high)) if known else TARGET
        return float(factors[-1]), target
    factor = _resized(cfg, width, height)
    low, high = np.percentile(box_sizes(images.boxes), [5, 95]) * factor
    return factor, (float(low), max(float(high), 2 * float(low)))


def _resized(cfg: Config, width: float, height: float) -> float:
    """Return the factor by which a test resizes images, 1 without Resize."""
    data = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    for leaf, _ in leaves(data, ''):
        for step in dicts(leaf.get('pipeline')):
            if not name_of(step).endswith('Resize'):
                continue
            if factor := step.get('scale_factor'):
                return float(np.mean(factor))
            if scale := step.get('scale'):
                size = sorted(np.broadcast_to(scale, 2).tolist())
                sides = sorted([width, height])
                return float(min(np.divide(size, sides)))
    return 1.0


def usable_strides(maps: Sequence[tuple[int, int]]) -> list[int]:
    """Return the strides of maps, (channels, stride), for a focus head.

    Raises:
        ValueError: There is no such map.
    """
    strides = focus_strides(maps)
    if not strides:
        raise ValueError(
            'a focus head needs a feature map of stride 4, 8 or 16. '
            f'Received: strides {[stride for _, stride in maps]}.'
        )
    return strides


def plan_for(
    images: ImageBoxes,
    finest: Sequence[float],
    target: tuple[float, float],
    strides: Sequence[int],
) -> FocusPlan:
    """Choose a plan with few pixels for a detector.

    The finest level is the finest of those that cost about the same: a level
    that is looked at in parts costs little, and shows small objects best. If
    there is no plan for the target, it is widened by up to 1.44 at both ends.

    Args:
        images (ImageBoxes): The training data.
        finest (Sequence[float]): Factors that the finest level may have.
        target (tuple[float]): Sizes that a level is for, level pixels.
        strides (Sequence[int]): Strides of the feature maps for a focus head.

    Raises:
        ValueError: No plan notices enough of the objects.
    """
    low, high = target
    for factor in _WIDENED:
        wider = low / factor, high * factor
        found = [search_plans(images, f, wider, strides) for f in finest]
        if any(found):
            break
        announce(f'no plan for objects of {wider[0]:.0f} to {wider[1]:.0f} px')
    else:
        raise ValueError(_why_not(images, finest, target))
    plans = [best_plan(plans) for plans in found if plans]
    most = _ALIKE * min(plan.pixels for plan in plans)
    alike = [plan for plan in plans if plan.pixels <= most]
    return max(alike, key=lambda plan: plan.factors[-1])


def _why_not(
    images: ImageBoxes, finest: Sequence[float], target: tuple[float, float]
) -> str:
    """Say why no plan suits a detector, and what to do instead."""
    factors = ' or '.join(f'{factor:.3g}' for factor in finest)
    sizes = box_sizes(images.boxes)
    small, large = np.percentile(sizes, [5, 99])
    coarsest = min(coarsest_factor(sizes, target[1]), max(finest) / 2)
    return (
        'AutoFocus cannot help here: no coarser level can notice the small '
        f'objects and detect the large ones. Below a finest level of {factors}'
        f' times, the coarsest level has a factor of at most {coarsest:.2g}: '
        f'objects of {small:.0f} and {large:.0f} px (5% are smaller, 1% are '
        f'larger) have {small * coarsest:.1f} and {large * coarsest:.0f} px '
        f'there. They need {LEAST_SIZE:.0f} px to be noticed, the detector '
        f'finds {target[0]:.0f} to {target[1]:.0f} px well, and each size '
        'needs a level where it is found. Use the whole pyramid, plan by the '
        "config's own ranges without measuring (--tune-on 0), or train for "
        'the levels that suggest_settings.py proposes. Received: '
        f'{len(images.boxes)} boxes in {len(images)} images.'
    )
