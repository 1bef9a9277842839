"""Comparison of plans of AutoFocus with whole levels."""

from collections.abc import Iterator, Sequence

import numpy as np

from sniper_mmdet.chips import ImageBoxes
from sniper_mmdet.utils.cli import table

from .advice import Advice
from .plan import FocusPlan

# Upper bound of the plans in the comparison.
_MOST = 6


def ways_to_look(
    images: ImageBoxes, advice: Advice, plans: Sequence[FocusPlan]
) -> Iterator[dict]:
    """Compare what inference costs and reaches, by plan and by whole levels.

    Each way is a dict: ``scales``, ``stride`` of FocusPixels, ``pixels`` per
    image, their share ``of_finest`` level, share of ``boxes`` reached,
    ``smallest`` and ``largest`` (see :class:`FocusPlan`), and ``proposed``.
    ``stride`` and ``smallest`` are None where levels are looked at whole.

    Args:
        images (ImageBoxes): The data set.
        advice (Advice): The proposal.
        plans (Sequence[FocusPlan]): The plans to compare, cheapest first.
    """
    pyramid = advice.test_pyramid
    levels = pyramid.level_sizes(images.widths, images.heights).prod(-1)
    # The finest level alone, and all levels.
    for count in sorted({1, len(pyramid)}):
        pixels = float(levels[:, -count:].sum(1).mean())
        yield dict(
            scales=pyramid.scales[-count:],
            stride=None,
            pixels=pixels,
            of_finest=pixels / float(levels[:, -1].mean()),
            boxes=1.0,
            smallest=None,
            largest=int(levels.max()),
            proposed=count == len(pyramid) and not advice.focus,
        )
    shown = np.linspace(0, len(plans) - 1, min(len(plans), _MOST)).round()
    for i, plan in enumerate(plans):
        if i in shown or plan is advice.plan:
            names = 'stride', 'pixels', 'of_finest', 'boxes'
            told = {name: getattr(plan, name) for name in names}
            yield dict(
                scales=plan.factors,
                **told,
                smallest=plan.smallest,
                largest=plan.largest,
                proposed=plan is advice.plan,
            )


def ways_table(ways: Sequence[dict]) -> str:
    """Format the result of :func:`ways_to_look`; * marks the proposal."""
    rows = []
    for way in ways:
        stride, smallest = way['stride'], way['smallest']
        kind = f'AutoFocus, stride {stride}' if stride else 'whole'
        levels = ', '.join(map(str, way['scales']))
        row = {
            'Mpixel': f'{way["pixels"] / 1e6:.2f}',
            'of finest': f'{way["of_finest"]:.1%}',
            'boxes reached': f'{way["boxes"]:.1%}',
            'px to notice': f'{smallest:.1f}' if smallest else '-',
            'largest part': f'{way["largest"] / 1e6:.2f}',
        }
        mark = '* ' if way['proposed'] else '  '
        rows.append((f'{mark}{levels}: {kind}', row))
    return table(rows, corner='  levels tested', widths=(40, 8))


def gain_of(advice: Advice, plans: Sequence[FocusPlan]) -> str:
    """Say in a sentence what AutoFocus saves, or why it is not proposed."""
    plan = advice.plan
    if plan:
        whole = plan.pixels / plan.of_finest / 1e6
        return (
            f'AutoFocus looks at {plan.pixels / 1e6:.2f} of {whole:.1f} '
            f'Mpixel per image, {plan.of_finest:.1%} of the finest level.'
        )
    if plans:
        least = min(plan.of_finest for plan in plans)
        return (
            f'AutoFocus does not pay here: it would look at {least:.0%} of '
            'the finest level.'
        )
    return (
        'AutoFocus has no plan here: on each coarse level that saves pixels, '
        'more than 5% of the boxes are too small to be noticed, or no level '
        'suits some of the sizes.'
    )
