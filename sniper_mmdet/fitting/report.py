"""Results of tuning as a config, as text and as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sniper_mmdet.utils.cli import table
from sniper_mmdet.utils.config_text import assignment, comment

from .tuner import FEW, MANY, SAFETY, Tuned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# AP by which true FocusPixels are worse only because their chips cut objects.
_FAR_BELOW = 0.05
# AP in % that a choice may lose on other images beyond what it lost before.
_MISSED = 2
# AutoFocus pays if it loses at most so much AP in % to the pyramid, and is at
# least so many times as fast.
_LOST, _FASTER = 2, 1.25


def config_text(tuned: Tuned, base: str) -> str:
    """Write a config with the chosen settings that inherits from ``base``."""
    told = 'Chosen by tools/analysis_tools/tune.py for one checkpoint.'
    model = assignment('model', tuned.model)
    return '\n'.join(
        [comment(told), assignment('_base_', base), '', model, '']
    )


def summary(tuned: Tuned) -> dict:
    """Return all figures, for other programs."""
    found = tuned.study
    return dict(
        model=tuned.model,
        rows=tuned.rows,
        curve=[dict(AP=p.AP, share=p.share) for p in tuned.curve],
        seconds=tuned.seconds,
        tried=tuned.tried,
        study=dict(
            scales=list(found.scales),
            factors=found.factors.tolist(),
            sizes=found.edges.tolist(),
            AP=found.AP.tolist(),
            finest=found.scales[found.finest],
            target=list(found.target),
        ),
    )


def text(tuned: Tuned) -> str:
    """Describe the study of levels and the chosen settings."""
    found = tuned.study
    edges = [f'{edge:.0f}' for edge in found.edges]
    heads = [f'{a}-{b} px' for a, b in zip(edges, edges[1:], strict=False)]
    levels = {
        f'level {scale}': dict(zip(heads, row, strict=True))
        for scale, row in zip(found.scales, found.AP.tolist(), strict=True)
    }
    low, high = found.target
    rows = {
        name: {k: '-' if v is None else v for k, v in row.items()}
        for name, row in tuned.rows.items()
    }
    formats = dict(AP='.1f', loss='.2f', share='.3f', Mpixel='.2f')
    seconds = tuned.seconds
    simulated = f'{tuned.tried} settings were simulated in '
    lines = [
        f'AP of each level alone, by sizes of the {tuned.objects} objects',
        table(levels, '.1f'),
        f'The detector finds objects of {low:.0f} to {high:.0f} level px '
        'well.',
        '',
        table(rows, dict(formats, seconds='.2f')),
        '"expected" is by simulation, "confirmed" by a real run, both on the '
        'images of tuning. The other rows are on images that were not used: '
        '"pyramid" has all chosen levels whole, "before" the settings of '
        'CONFIG.',
        f'{simulated}{seconds["search"]:.0f} s, after {seconds["record"]:.0f} '
        's in which the network ran once; real runs of all would take about '
        f'{seconds["each"]:.0f} s.',
        'Thresholds that were chosen on training images, or on no more than '
        f'{FEW} objects, are lowered by a factor of {SAFETY:g}; on up to '
        f'{MANY} objects by less. A budget needs no such factor.',
        *_doubts(tuned),
    ]
    return '\n'.join(lines)


def _doubts(tuned: Tuned) -> list[str]:
    """Say where the images of tuning were too few, one sentence each."""
    doubts = []
    if tuned.objects <= FEW:
        doubts.append(
            f'The images of tuning have {tuned.objects} objects: levels, '
            'ranges and dilation are those of CONFIG, because chance would '
            'choose them.'
        )
    rows = tuned.rows
    if 'measured' in rows:
        new, old = rows['measured'], rows['before']
        missed = new['loss'] - rows['confirmed']['loss']
        if missed > _MISSED and new['AP'] < old['AP']:
            doubts.append(
                f'The choice does not hold: on other images it has '
                f'{new["AP"]:.1f} AP, the settings of CONFIG have '
                f'{old["AP"]:.1f}. Keep CONFIG, or tune on more images.'
            )
    return doubts


def draw_curve(tuned: Tuned) -> Figure:
    """Plot AP against the share of the pyramid's pixels."""
    from matplotlib.figure import Figure

    fig = Figure((5, 3.6), layout='tight')
    axis = fig.subplots()
    line = [(point.share, point.AP) for point in tuned.curve]
    axis.plot(*zip(*line, strict=True), '.-', label='simulated')
    for name in ('expected', 'confirmed', 'measured', 'pyramid'):
        row = tuned.rows[name]
        axis.plot(row['share'], row['AP'], 's', label=name)
    axis.set_xlabel('pixels, share of the pyramid')
    axis.set_ylabel('AP')
    axis.legend(loc='lower right')
    axis.grid(alpha=0.3)
    return fig


def what_it_gains(
    pyramid: dict[str, float], own: dict[str, float], true: dict[str, float]
) -> str:
    """Say in a few sentences whether AutoFocus pays.

    Args:
        pyramid, own, true (dict[str, float]): Rows of
            :func:`~sniper_mmdet.apis.focus_curve.focus_summary`, of the whole
            pyramid, of AutoFocus and of true FocusPixels.
    """
    gained = 100 * (own['AP'] - pyramid['AP'])
    faster = pyramid['seconds'] / own['seconds']
    told = (
        f'AutoFocus looks at {own["share"]:.0%} of the pixels of the pyramid, '
        f'is {faster:.1f} times as fast, and has {gained:+.1f} AP.'
    )
    if gained < -_LOST:
        told += (
            ' It misses objects with these settings: tune it, or set lower '
            'thresholds in model.focus or a larger model.budget.'
        )
    elif faster < _FASTER:
        told += ' It does not pay with these settings: use the whole pyramid.'
    if true['AP'] < own['AP'] - _FAR_BELOW:
        told += (
            " 'ground truth' is far below: FocusChips around nothing but true "
            'FocusPixels are so small here that they cut objects. A larger '
            'dilation or min_size of model.focus prevents this.'
        )
    return told
