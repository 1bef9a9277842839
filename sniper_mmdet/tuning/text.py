"""Proposed settings as text: a report, and a fragment of a config."""

import textwrap
from collections.abc import Iterator

from sniper_mmdet.chips.pyramid import Range
from sniper_mmdet.utils.cli import table
from sniper_mmdet.utils.config_text import Code, assignment, call, comment

from .advice import Advice
from .frontier import ways_table

_THRESHOLDS = comment(
    'focus_curve.py shows which thresholds suit a trained focus head.'
)

_OF_TABLE = """\
(*: proposed. Mpixel: per image. px to notice: 95% of the objects that the
coarsest level must notice are at least as large there. largest part: Mpixel
that must fit into memory together.)"""


def range_text(bounds: Range) -> str:
    """A valid range as text: '[32, ∞)'.

    Examples:
        >>> range_text((32, None))
        '[32, ∞)'
    """
    return f'[{bounds[0] or 0}, {bounds[1] or "∞"})'


def settings_text(
    advice: Advice,
    base: str | None = None,
    autofocus: bool = False,
    head: dict | None = None,
) -> str:
    """Write settings as a fragment of a config.

    Args:
        advice (Advice): The proposal.
        base (str, optional): The config from which it inherits. Defaults to
            None: a fragment to paste into a config.
        autofocus (bool): Whether that config has an AutoFocus detector.
            Defaults to False.
        head (dict, optional): Arguments of the focus head besides ``sizes``:
            maps, their channels and stride. Defaults to None: the config has
            them.
    """
    size = advice.chip_size
    pad = dict(type='BatchFixedSizePad', size=(size, size))
    model = dict(
        scales=Code('_scales'),
        valid_ranges=list(advice.test_valid_ranges),
        data_preprocessor=dict(batch_augments=[pad]),
    )
    dataset = dict(
        scales=Code('_scales'),
        valid_ranges=list(advice.valid_ranges),
        chip_size=size,
        stride=advice.stride,
    )
    if autofocus:
        # None removes settings that the config may have for other levels.
        dataset['focus_sizes'] = advice.settings.focus_sizes
    focus_head = dict(head or {}, sizes=advice.focus_sizes)
    focus = [vars(step) for step in advice.focus]
    focused: dict = dict(focus_head=focus_head, focus=focus)
    paste = 'Not a complete config: paste this into one that trains on chips, '
    paste += 'which tools/sniperize.py makes.'
    blocks = [
        comment('Proposed by tools/analysis_tools/suggest_settings.py.'),
        f'{assignment("_base_", base)}\n' if base else comment(paste),
        f'{assignment("_scales", list(advice.scales))}\n',
        *([_THRESHOLDS] if autofocus else []),
        assignment('model', dict(model, **(focused if autofocus else {}))),
        assignment('train_dataloader', dict(dataset=dataset)),
    ]
    if advice.focus and not autofocus:
        why = 'With an AutoFocus detector also:'
        if head:
            why = 'Uncommented, it trains an AutoFocus detector:'
            focus_head = dict(type='sniper_mmdet.FocusHead', **focus_head)
            focused['focus_head'] = focus_head
            focused = dict(type='sniper_mmdet.AutoFocus', **focused)
        elif advice.plan:
            why = (
                'With an AutoFocus detector also, if its focus head has '
                f'FocusPixels of stride {advice.focus_stride} '
                '(tools/sniperize.py --autofocus --suggest writes all this):'
            )
        update = call('model.update', **focused)
        if noticed := advice.settings.focus_sizes:
            chips = "train_dataloader['dataset'].update"
            update += '\n' + call(chips, focus_sizes=noticed)
        blocks += [comment(why), _THRESHOLDS, textwrap.indent(update, '# ')]
    return '\n'.join(blocks) + '\n'


def report_text(report: dict, advice: Advice) -> str:
    """Write the result of :func:`report_settings` for a reader."""
    return '\n'.join(_report(report, advice))


def _report(report, advice) -> Iterator[str]:
    small, large = report['smallest_image'], report['largest_image']
    yield (
        f'{report["images"]} images of {small[0]}x{small[1]} to '
        f'{large[0]}x{large[1]} px, {report["boxes"]} boxes'
    )
    sizes = report['sizes']
    yield 'percentile  ' + ''.join(f'{p:7}%' for p in sizes)
    yield 'size, px    ' + ''.join(f'{s:8.1f}' for s in sizes.values())
    yield f'\nproposed\n{"level":>14}{"trained sizes":>16}{"tested sizes":>16}'
    ranges = zip(advice.valid_ranges, advice.test_valid_ranges, strict=True)
    for scale, pair in zip(advice.scales, ranges, strict=True):
        trained, tested = map(range_text, pair)
        yield f'{str(scale):>14}{trained:>16}{tested:>16}'
    yield f'chip_size {advice.chip_size}, stride {advice.stride}'
    yield '\nwhy'
    yield from map('- {}'.format, advice.reasons)
    yield '\n' + _expected(report['expected'])
    if report['counted_images'] < report['images']:
        yield f'(counted on {report["counted_images"]} of the images)'
    for size, other in report['other_chip_sizes'].items():
        yield (
            f'--chip-size {size}: levels {list(other["scales"])}, '
            f'{other["chips_per_image"]:.2f} chips per image, '
            f'{other["pixels_per_image"] / 1e6:.2f} Mpixel, '
            f'{other["boxes_covered"]:.2%} covered, '
            f'median {_seen(other)[1]} level px'
        )
    yield f'\n{report["gain"]}'
    yield ways_table(report['ways'])
    yield _OF_TABLE
    if advice.focus:
        yield '\nAutoFocus'
        yield from map('- {}'.format, _focus(report['focus_share'], advice))
    if report['warnings']:
        yield '\nmind'
        yield from map('- {}'.format, report['warnings'])


def _expected(expected) -> str:
    """Table of the cost and coverage of settings, one column for each."""
    rows: dict[str, dict[str, str]] = {}
    for name, e in expected.items():
        low, median, high = _seen(e)
        column = {
            'chips per image': f'{e["chips_per_image"]:.2f}',
            'Mpixel per image': f'{e["pixels_per_image"] / 1e6:.2f}',
            '  to one 800x1333': f'{e["pixel_ratio_single_scale"]:.2f}',
            '  to whole levels': f'{e["pixel_ratio_pyramid"]:.2f}',
            'Mpixel in testing, whole': (
                f'{e["test_pixels_per_image"] / 1e6:.2f}'
            ),
            'boxes covered': f'{e["boxes_covered"]:.2%}',
            'boxes that train nowhere': str(e['uncovered_boxes']),
            'level px, 5%': low,
            '  median': median,
            '  95%': high,
        }
        for head, cell in column.items():
            rows.setdefault(head, {})[name] = cell
    return table(rows, corner='expected', widths=(26, 10))


def _seen(expected) -> list[str]:
    """Percentiles of the sizes at which boxes train."""
    return [f'{size:.0f}' for size in expected['seen'] or ()] or ['-'] * 3


def _focus(share, advice) -> Iterator[str]:
    """Say in sentences what an AutoFocus detector would do."""
    yield (
        f'FocusPixels: stride {advice.focus_stride}, sizes '
        f'{advice.focus_sizes}, level pixels'
    )
    for scale, step in zip(advice.scales, advice.focus, strict=False):
        settings = ', '.join(f'{k}={v}' for k, v in vars(step).items())
        yield f'after level {scale}: {settings}'
    yield f'pixels looked at: {share["pixels"]:.0%} of those of whole levels'
    yield f'boxes reached: {share["boxes"]:.1%}'
    yield (
        'Both figures assume FocusPixels from the annotations, by these '
        'sizes. Those of a trained head depend on its thresholds: run '
        'focus_curve.py.'
    )
