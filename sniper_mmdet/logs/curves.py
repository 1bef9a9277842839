"""Plots of the logs of runs."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .reading import RunLog

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = '.x+^v'


def draw_curves(
    runs: Sequence[str],
    keys: Sequence[str],
    legend: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Plot the logs of runs, one panel for each kind of numbers.

    A run is a work dir, or one scalars.json; for keys see :meth:`RunLog.find`.
    ``legend`` has a name for each run, or for each key of each run, run by
    run; by default runs keep their names.

    Raises:
        ValueError: A run has no log, or has not logged a key.
    """
    # The import is slow, and only this function needs it.
    from matplotlib.figure import Figure

    panels = _panels(runs, keys, legend)
    fig = Figure((8, 3.2 * len(panels) + 0.6), layout='constrained')
    axes = fig.subplots(len(panels), squeeze=False)[:, 0]
    for axis, (panel, curves) in zip(axes, panels.items(), strict=True):
        kind, _, unit = panel
        for points, style in curves:
            axis.plot(*zip(*points, strict=True), **style)
        axis.set_xlabel(unit)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if kind == 'chips':
            # The curves keep clear of the frame, also if every epoch is equal.
            top = max(value for points, _ in curves for _, value in points)
            axis.set_ylim(0, 1.1 * top or 1)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    if title:
        fig.suptitle(title)
    return fig


def _panels(runs, keys, legend) -> dict[tuple, list[tuple]]:
    """Group curves, (points, style), by kind, name and unit of the panel."""
    panels = defaultdict(list)
    heads = legend or (runs if len(runs) > 1 else [''])
    by_key = len(heads) > len(runs)
    for r, run in enumerate(runs):
        log = RunLog(run)
        # Steps up to this one are epochs; a loop without epochs validates by
        # iteration.
        last = dict(train=-1, chips=math.inf)
        last['val'] = max(filter(None, log.epochs.values()), default=0)
        for k, key in enumerate(keys):
            found = log.find(key)
            alone = legend and len(found) == 1 and (by_key or len(keys) == 1)
            given = heads[r * len(keys) + k if by_key else r]
            for kind, name in found:
                points = sorted(log.curves[kind][name].items())
                unit = 'epoch' if points[-1][0] <= last[kind] else 'iteration'
                label = given if alone else f'{given} {name}'.strip()
                style = dict(_style(kind, name, r), label=label)
                panels[kind, _panel(kind, name), unit].append((points, style))
    return panels


def _style(kind, name, run) -> dict:
    """Style of a curve; chips have a colour per level, dashes if negative."""
    if kind == 'train':
        return dict(linewidth=1)
    if not name.startswith('chips/level'):
        return dict(marker='.')
    level, _, sign = name.removeprefix('chips/level').partition('_')
    return dict(
        marker=_MARKERS[run % len(_MARKERS)],
        color=f'C{int(level)}',
        linestyle='--' if sign == 'negative' else '-',
    )


def _panel(kind, name) -> str:
    """Return the panel of a curve, which has numbers of one kind."""
    if kind == 'train':
        if 'loss' in name:
            return 'loss'
        # Names as of cascades, s0.acc, and of logs with hierarchy,
        # train/data_time.
        name = re.split('[./]', name)[-1]
        return next((k for k in ('time', 'lr') if name.endswith(k)), name)
    if kind == 'chips':
        return 'chips' if name.startswith('chips/level') else name
    return name.rpartition('/')[0]
