"""A plot of object sizes in the image and at the levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sniper_mmdet.chips import ChipSettings, ImageBoxes, box_sizes, valid_boxes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS_AN_OCTAVE = 6


def draw_sizes(
    images: ImageBoxes,
    settings: ChipSettings,
    target: tuple[float, float] | None = None,
) -> Figure:
    """Plot the sizes of boxes, the valid ranges, and the sizes at each level.

    The upper part is a histogram of sqrt(width * height) in original pixels,
    over one bar per level from the start of its valid range to the end. The
    lower part shows for each level the sizes in level pixels of the boxes that
    it trains.

    Args:
        images (ImageBoxes): The data set.
        settings (ChipSettings): Levels, valid ranges and chip size.
        target (tuple[float], optional): Sizes in level pixels to be shaded.

    Returns:
        Figure: A figure of matplotlib without a window; see its ``savefig``.

    Raises:
        ValueError: There are no boxes.
    """
    # The import is slow, and only this function needs it.
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if len(images.boxes) == 0:
        raise ValueError('sizes can be drawn of boxes only. Received: none.')
    sizes = np.maximum(box_sizes(images.boxes), 1)
    pyramid, rows = settings.pyramid, len(settings.pyramid)
    factors = pyramid.factors(images.widths, images.heights)
    factors = images.of_boxes(factors)
    valid = valid_boxes(images, settings)
    colors = colormaps['viridis'](np.linspace(0.1, 0.8, rows))
    names = [f'level {_name(scale)}: ' for scale in pyramid.scales]
    # Each level needs a bar, and half a line of the legend.
    fig = Figure(figsize=(9, 5.9 + 0.42 * rows), layout='constrained')
    FigureCanvasAgg(fig)
    above, bars, below = fig.subplots(
        3, 1, height_ratios=[2.4, 0.35 + 0.33 * rows, 2.4]
    )

    span = sizes.min() / 1.3, sizes.max() * 1.3
    above.hist(sizes, _edges(*span), color='0.6')
    title = f'{len(sizes)} boxes of {len(images)} images: size in pixels of '
    above.set_title(title + 'the image', fontsize=10)
    above.set_ylabel('boxes')
    for level, color in enumerate(colors):
        low, high = pyramid.bounds[level]
        start, end = max(low, span[0]), min(high, span[1])
        y = rows - 1 - level
        if start < end:
            bars.barh(y, end - start, left=start, height=0.7, color=color)
        top = '∞' if high == np.inf else f'{high:g}'
        text = f'{names[level]}{low:g} to {top} px'
        box = dict(facecolor='w', edgecolor='none', alpha=0.8, pad=1.5)
        style = dict(va='center', fontsize=9, bbox=box)
        bars.text(0.01, y, text, transform=bars.get_yaxis_transform(), **style)
    bars.set_ylim(-0.6, rows - 0.4)
    bars.set_yticks([])
    bars.set_title('valid ranges in training', fontsize=10)
    for axis in (above, bars):
        _log_axis(axis, span)

    seen = [(sizes * factors[:, k])[valid[:, k]] for k in range(rows)]
    flat = np.concatenate([*seen, np.array(target or ()), [32, 256]])
    span = max(flat.min(), 1) / 1.3, flat.max() * 1.3
    if target:
        label = f'aimed at: {target[0]:.0f} to {target[1]:.0f} px'
        below.axvspan(*target, color='0.92', label=label)
    for level, color in enumerate(colors):
        label = f'{names[level]}{len(seen[level])} boxes'
        style = dict(histtype='step', linewidth=2, color=color, label=label)
        below.hist(seen[level], _edges(*span), **style)
    title = 'size in pixels of the level, of the boxes that it trains'
    below.set_title(title, fontsize=10)
    below.set_ylabel('boxes')
    _log_axis(below, span)
    fig.legend(fontsize=9, loc='outside lower center', ncols=2)
    return fig


def _edges(low: float, high: float) -> np.ndarray:
    low, high = np.floor(np.log2(low)), np.ceil(np.log2(high))
    return 2 ** np.arange(low, high + 1e-6, 1 / _BINS_AN_OCTAVE)


def _log_axis(axis, span) -> None:
    axis.set_xscale('log', base=2)
    ticks = [2**i for i in range(14)]
    if span[1] < 16 * span[0]:
        ticks += [3 * 2**i for i in range(12)]
    axis.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=9)
    axis.set_xticks([], minor=True)
    axis.set_xlim(*span)
    axis.grid(axis='x', alpha=0.3)


def _name(scale) -> str:
    if isinstance(scale, float):
        return f'× {scale:g}'
    low, high = scale
    return f'long side {high}' if low == -1 else f'{low} x {high}'
