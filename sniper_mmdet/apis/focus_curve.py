"""AutoFocus at several thresholds, beside the pyramid it looks at parts of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sniper_mmdet.models import AutoFocus

from .comparison import Way, reference_ways, with_changes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def focus_ways(
    model: AutoFocus,
    factors: Sequence[float],
    thresholds: Mapping[str, Sequence[float]],
    ground_truth: bool = False,
) -> dict[str, Way]:
    """The references, and AutoFocus with other thresholds.

    Args:
        model (AutoFocus): The detector.
        factors (Sequence[float]): By which its thresholds are multiplied.
        thresholds (Mapping): More thresholds, by name; of all levels but the
            finest each.
        ground_truth (bool): Whether AutoFocus with FocusPixels from
            annotations is one more. Defaults to False.
    """
    own = [step.threshold for step in model.focus]
    points = {
        f'x {f:g}': [f * threshold for threshold in own] for f in factors
    }
    ways = reference_ways(model)
    for name, values in {**points, **thresholds}.items():
        focus = [
            dataclasses.replace(step, threshold=value)
            for step, value in zip(model.focus, values, strict=True)
        ]
        ways[f'thresholds {name}'] = with_changes(
            model, model.predict, focus=focus
        )
    if ground_truth:
        ways['ground truth'] = with_changes(
            model, model.predict, ground_truth=True
        )
    return ways


def focus_summary(table: dict[str, dict]) -> dict[str, dict[str, float]]:
    """AP, pixels and seconds of each way.

    Args:
        table (dict[str, dict]): What :func:`~sniper_mmdet.apis.measure` found
            of :func:`focus_ways`.

    Returns:
        dict[str, dict]: By name: ``AP``, ``AP50`` and ``AP_S``; ``side`` of
        the square of as many pixels as are looked at of an image; ``share``
        of the pixels of the pyramid; ``seconds`` an image.
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
        rows[name] = dict(
            # CocoMetric has none where nothing is found.
            AP=row.get('coco/bbox_mAP', 0.0),
            AP50=row.get('coco/bbox_mAP_50', 0.0),
            AP_S=row.get('coco/bbox_mAP_s', 0.0),
            side=float(np.sqrt(pixels / row['images'])),
            share=float(pixels / whole.sum()),
            seconds=row['seconds'],
        )
    return rows


def draw_focus_curve(rows: dict[str, dict[str, float]]) -> Figure:
    """Draw AP against the share of pixels, and against seconds.

    Args:
        rows (dict[str, dict]): Of :func:`focus_summary`.

    Returns:
        Figure: Of matplotlib, without any window.
    """
    from matplotlib.figure import Figure

    fig = Figure((9, 3.6), layout='tight')
    axes = fig.subplots(1, 2, sharey=True)
    labels = dict(share='pixels, share of the pyramid', seconds='s an image')
    for axis, (key, label) in zip(axes, labels.items(), strict=True):
        points = {name: (row[key], row['AP']) for name, row in rows.items()}
        curve = [n for n in points if n.startswith('thresholds')]
        line = sorted(points.pop(name) for name in curve)
        axis.plot(*zip(*line, strict=True), 'o-', label='AutoFocus')
        for name, point in points.items():
            axis.plot(*point, 's')
            axis.annotate(
                name,
                point,
                fontsize=8,
                xytext=(4, -10),
                textcoords='offset points',
            )
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('AP')
    axes[0].legend(loc='lower right')
    return fig
