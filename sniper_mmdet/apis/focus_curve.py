"""Compares thresholds and budgets of AutoFocus with the whole pyramid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sniper_mmdet.chips.budget import NO_BUDGET, FocusBudget
from sniper_mmdet.models import AutoFocus

from .comparison import Way, coco_row, reference_ways, with_changes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def focus_ways(
    model: AutoFocus,
    factors: Sequence[float],
    thresholds: Mapping[str, Sequence[float]],
    ground_truth: bool = False,
    budgets: Sequence[float] = (),
) -> dict[str, Way]:
    """The references, and AutoFocus with several thresholds and budgets.

    Each of ``factors`` multiplies the model's own thresholds. Each entry of
    ``thresholds`` has a name and one threshold per level but the finest.
    ``budgets`` are shares of the pyramid's pixels, used with the model's own
    thresholds; the other ways have no budget. ``ground_truth`` adds a way
    whose FocusPixels come from annotations.

    Raises:
        ValueError: ``AutoFocus`` refuses a budget.
    """
    changed = partial(with_changes, model, model.predict, budget=NO_BUDGET)
    own = [step.threshold for step in model.focus]
    points = {f'x {f:g}': [f * value for value in own] for f in factors}
    ways = reference_ways(model)
    for name, values in {**points, **thresholds}.items():
        focus = [
            replace(step, threshold=value)
            for step, value in zip(model.focus, values, strict=True)
        ]
        ways[f'thresholds {name}'] = changed(focus=focus)
    for share in budgets:
        budget = FocusBudget(share)
        budget.check(model.pyramid)
        ways[f'budget {share:g}'] = changed(budget=budget)
    if ground_truth:
        ways['ground truth'] = changed(ground_truth=True)
    return ways


def focus_summary(table: dict[str, dict]) -> dict[str, dict[str, float]]:
    """AP, pixels and seconds of each way, from the result of ``measure``.

    ``share`` is the share of the pyramid's pixels that is looked at. ``side``
    is the side of a square of as many pixels as are looked at per image.
    """
    some = next(row for row in table.values() if 'pixels' in row)
    whole = some['pyramid_pixels']
    rows = {}
    for name, row in table.items():
        pixels = whole.sum()
        if name.startswith('level'):
            pixels = whole[int(name[5:])]
        elif 'pixels' in row:
            pixels = row['pixels'].sum()
        rows[name] = found = coco_row(row)
        seconds = found.pop('seconds')
        found['side'] = float(np.sqrt(pixels / row['images']))
        found.update(share=float(pixels / whole.sum()), seconds=seconds)
    return rows


def draw_focus_curve(rows: dict[str, dict[str, float]]) -> Figure:
    """Draw AP against pixels and against time, from :func:`focus_summary`."""
    from matplotlib.figure import Figure

    fig = Figure((9, 3.6), layout='tight')
    axes = fig.subplots(1, 2, sharey=True)
    style = dict(fontsize=8, textcoords='offset points')
    labels = dict(share='pixels, share of the pyramid', seconds='s per image')
    for axis, (key, label) in zip(axes, labels.items(), strict=True):
        points = {name: (row[key], row['AP']) for name, row in rows.items()}
        for kind in ('thresholds', 'budget'):
            curve = [name for name in points if name.startswith(kind)]
            if line := sorted(points.pop(name) for name in curve):
                axis.plot(*zip(*line, strict=True), 'o-', label=kind)
        for name, point in points.items():
            axis.plot(*point, 's')
            axis.annotate(name, point, (4, -10), **style)
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('AP')
    axes[0].legend(loc='lower right')
    return fig
