"""Search for settings of AutoFocus by simulation."""

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np

from sniper_mmdet.tuning.plan import NOTICED

from .candidates import (
    THRESHOLDS,
    grid,
    neighbours,
    pyramids,
    with_ranges,
)
from .levels import LevelStudy
from .simulation import Point, Setting, Simulation

#: Difference of AP up to which pyramids count as equally good.
_ALIKE = 0.3
_ROUNDS = 4


def frontier(points: Iterable[Point]) -> list[Point]:
    """Return the points that no cheaper point beats in AP, cheapest first.

    Examples:
        >>> from sniper_mmdet.fitting.simulation import Point
        >>> points = [
        ...     Point(None, AP=47.4, pixels=4.6e5, share=0.23),
        ...     Point(None, AP=46.9, pixels=2e5, share=0.1),
        ...     Point(None, AP=46.5, pixels=3e5, share=0.15)]
        >>> [point.AP for point in frontier(points)]
        [46.9, 47.4]
    """
    best = []
    for point in sorted(points, key=lambda one: (one.pixels, -one.AP)):
        if not best or point.AP > best[-1].AP:
            best.append(point)
    return best


def choose(
    points: Sequence[Point],
    whole: float,
    budget: float | None = None,
    loss: float = 0.2,
) -> Point:
    """Choose a point by a budget or by a loss of AP.

    Args:
        points (Sequence[:obj:`Point`]): Points to choose from.
        whole (float): AP of the pyramid.
        budget (float, optional): Choose the best AP at no more than this share
            of the pyramid's pixels. Defaults to None: see ``loss``.
        loss (float): Choose the fewest pixels at no more than this loss of AP
            to the best point and the pyramid. A point that beats the pyramid
            by what it leaves out may have lost objects too. Defaults to 0.2.

    Returns:
        :obj:`Point`: The nearest point if none meets the condition.

    Examples:
        >>> from sniper_mmdet.fitting.simulation import Point
        >>> points = [
        ...     Point(None, AP=46.9, pixels=2e5, share=0.1),
        ...     Point(None, AP=47.4, pixels=4.6e5, share=0.23)]
        >>> choose(points, whole=47.3).AP
        47.4
        >>> choose(points, whole=47.3, budget=0.15).AP
        46.9
    """
    if budget is not None:
        within = [one for one in points if one.share <= budget]
        if not within:
            return min(points, key=lambda one: one.share)
        return max(within, key=lambda one: (one.AP, -one.pixels))
    best = max(whole, *(one.AP for one in points))
    good = [one for one in points if one.AP >= best - loss - 1e-6]
    if not good:
        return max(points, key=lambda one: (one.AP, -one.pixels))
    return min(good, key=lambda one: (one.pixels, -one.AP))


def near(curve: Sequence[Point], wanted: Point) -> list[Point]:
    """Return a point, a cheaper one and two more expensive ones, to be run."""
    less = [one for one in curve if one.pixels <= 0.9 * wanted.pixels]
    found = [*less[-1:], wanted]
    for _ in range(2):
        least = 1.1 * found[-1].pixels
        found += [one for one in curve if one.pixels >= least][:1]
    return found


def best_pyramid(
    simulation: Simulation,
    found: LevelStudy,
    own: Setting,
    keep_levels: bool = False,
) -> Setting:
    """Find the cheapest levels and ranges that lose almost no AP.

    All pyramids are tried whole. Those with about the AP of the best are then
    simulated with AutoFocus.

    Args:
        simulation (:obj:`Simulation`): Simulation of all levels.
        found (:obj:`LevelStudy`): Study of the same levels.
        own (:obj:`Setting`): The config's setting, which gives the other
            values.
        keep_levels (bool): Try other ranges only. Defaults to False.
    """
    recording = simulation.recording
    size = recording.model.focus_head.sizes[1]
    if keep_levels:
        ways = with_ranges(own.levels, found.factors, size)
    else:
        sizes = recording.object_sizes
        smallest = float(np.percentile(sizes, 100 * (1 - NOTICED)))
        ways = pyramids(found.factors, found.finest, size, smallest)
    tried = [own]
    for levels, ranges in ways:
        steps = (*own.focus, *own.focus[-1:] * 2)[: len(levels) - 1]
        tried.append(Setting(levels, ranges, steps, own.border))
    whole = [simulation.point(setting.whole) for setting in tried]
    best = max(point.AP for point in whole)
    points = []
    for point, setting in zip(whole, tried, strict=True):
        if point.AP >= best - _ALIKE:
            alike = zip(*[THRESHOLDS] * len(setting.focus), strict=True)
            points += map(simulation.point, grid(setting, alike))
            points.append(point)
    return choose(points, best, loss=2 * _ALIKE).setting


def search(
    simulation: Simulation,
    start: Setting,
    budget: float | None = None,
    loss: float = 0.2,
    few: bool = False,
) -> tuple[list[Point], Point, Point]:
    """Try thresholds and least chips, then variations of the chosen point.

    Args:
        simulation (:obj:`Simulation`): Simulation with the levels of
            ``start``.
        start (:obj:`Setting`): First setting; its levels and ranges stay.
        budget, loss: See :func:`choose`.
        few (bool): See :func:`~sniper_mmdet.fitting.candidates.neighbours`.
            Defaults to False.

    Returns:
        tuple: All points that were tried, the chosen one, and the point of the
        whole pyramid.
    """
    whole = simulation.point(start.whole)
    points = {start.whole: whole}

    def add(settings: Iterable[Setting]) -> Point:
        for one in settings:
            if one not in points:
                points[one] = simulation.point(one)
        return choose(list(points.values()), whole.AP, budget, loss)

    values = product(THRESHOLDS, repeat=len(start.focus))
    wanted = add(grid(start, values))
    for _ in range(_ROUNDS):
        better = add(neighbours(wanted.setting, few))
        if better is wanted:
            break
        wanted = better
    return list(points.values()), wanted, whole
