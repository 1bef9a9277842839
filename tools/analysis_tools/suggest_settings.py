"""Propose levels, valid ranges and chips for a data set of your own.

    python tools/analysis_tools/suggest_settings.py CONFIG --out sizes.png
    python tools/analysis_tools/suggest_settings.py --ann instances.json
    python tools/analysis_tools/suggest_settings.py CONFIG --config-out mine.py

The training data of a CONFIG, whatever its type, or a COCO json are read; no
image is. Settings follow from the sizes of boxes and images by rules of thumb,
and the chips that they give are counted beside those of COCO's settings.
"""

import argparse
import contextlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mmengine.config import DictAction

from sniper_mmdet.chips import (
    RELEASED_COCO,
    ImagePyramid,
    box_sizes,
)
from sniper_mmdet.chips.coco import read_coco
from sniper_mmdet.chips.presets import RELEASED_COCO_TEST
from sniper_mmdet.tuning import focus_share, forecast, suggest
from sniper_mmdet.tuning.costs import some_images
from sniper_mmdet.utils.files import picture_name, write_whole

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
CHIP_SIZES = (256, 384, 512)
# Images that are counted, at most: chips, and FocusChips, which take longer.
MOST, MOST_FOCUS = 4000, 400
FIRST_STEP = (
    'The settings are no config of their own: python '
    'tools/sniperize.py YOUR_CONFIG --out FILE makes the one that '
    'trains on chips, to paste them into.'
)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', nargs='?', help='train config file path')
    parser.add_argument('--ann', help='COCO json instead of a config')
    parser.add_argument(
        '--levels', type=int, help='so many levels; default: as many as needed'
    )
    parser.add_argument(
        '--chip-size',
        type=int,
        help='side of a chip in level pixels; default: 512 or less',
    )
    parser.add_argument(
        '--out', help='picture of the sizes, .png (the default) or .pdf'
    )
    parser.add_argument('--config-out', help='file for the settings, .py')
    parser.add_argument('--json', action='store_true', help='print JSON only')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    args = parser.parse_args()
    if (args.config is None) == (args.ann is None):
        parser.error('give either CONFIG or --ann COCO_JSON.')
    if args.ann is not None and args.cfg_options:
        parser.error('--cfg-options change a CONFIG; --ann has none.')
    if args.levels is not None and not 1 <= args.levels <= 6:
        parser.error(f'--levels must be from 1 to 6. Received: {args.levels}.')
    check_outputs(parser, args)
    return args


def check_outputs(parser, args):
    """See that files can be written, and destroy none that is read."""
    if args.out:
        try:
            args.out = picture_name(args.out)
        except ValueError as error:
            parser.error(error)
    if args.config_out and Path(args.config_out).suffix != '.py':
        parser.error(
            f'--config-out must be a .py file. Received: {args.config_out}.'
        )
    if (
        args.config_out
        and not Path(args.config_out).absolute().parent.is_dir()
    ):
        parser.error(
            '--config-out must be in a folder that exists. '
            f'Received: {args.config_out}.'
        )
    taken = {Path(p).resolve() for p in (args.config, args.ann) if p}
    for option in ('out', 'config_out'):
        path = getattr(args, option)
        if not path:
            continue
        name = f'--{option.replace("_", "-")}'
        if Path(path).resolve() in taken:
            parser.error(
                f'{name} must be another file than those that are read and '
                f'written beside it. Received: {path}.'
            )
        taken.add(Path(path).resolve())


def read_config(path, options):
    """Boxes; the config's own settings if it trains on chips; its head."""
    from sniper_mmdet.engine.build import build_boxes_dataset, load_config

    # What is printed while annotations are read is no part of the result.
    with contextlib.redirect_stdout(sys.stderr):
        cfg = load_config(path, options)
        dataset = build_boxes_dataset(cfg, 'train')
    kind = str(cfg.train_dataloader.dataset.get('type'))
    if not kind.endswith('ChipDataset'):
        return dataset.images, None, None
    model = cfg.get('model', {})
    test = None
    if model.get('scales'):
        test = ImagePyramid(model['scales'], model.get('valid_ranges'))
    own = dataset.settings, test
    return dataset.images, own, model.get('focus_head')


def warnings_of(images, advice, expected, share, num_without_area):
    """What to know before the proposal is used, a sentence each."""
    sizes = box_sizes(images.boxes)
    sides = images.boxes[:, 2:] - images.boxes[:, :2]
    levels = advice.settings.pyramid.level_sizes(images.widths, images.heights)
    found = []
    if len(sizes) < 500:
        found.append(
            f'{len(sizes)} boxes are few: their percentiles may be off.'
        )
    if num_without_area:
        found.append(
            f'{num_without_area} boxes have no area inside of their image; '
            'they are left out here and in training.'
        )
    thin = int((sides < advice.settings.min_side).any(1).sum())
    if thin:
        found.append(
            f'{thin} boxes have a side below {advice.settings.min_side} px; '
            'no chip is cut for them.'
        )
    if expected['boxes_covered'] < 0.995:
        cures = ['--chip-size 512'] if advice.chip_size < 512 else []
        cures.append(
            'valid ranges of coarser levels that begin lower'
            if advice.focus
            else '--levels 2'
        )
        found.append(
            f'{expected["uncovered_boxes"]} boxes, '
            f'{1 - expected["boxes_covered"]:.1%}, train nowhere: a side is '
            f'below {advice.settings.min_side} px, or too long for a chip at '
            f'the level of their size. For long ones try '
            f'{" or ".join(cures)}.'
        )
    for scale, count in zip(
        advice.scales, expected['valid_boxes_per_level'], strict=True
    ):
        if count == 0:
            found.append(
                f'Level {scale} trains no box: it serves only to focus, with '
                'AutoFocus.'
            )
    if (levels <= advice.chip_size).all():
        found.append(
            'No level is larger than a chip: chips are whole images, and '
            'save nothing.'
        )
    elif expected['pixel_ratio_pyramid'] > 0.8:
        found.append(
            f'Chips have {expected["pixel_ratio_pyramid"]:.2f} times the '
            'pixels of the whole levels: objects are everywhere, and chips '
            'save little or nothing here.'
        )
    return found + warnings_of_testing(levels, expected, share)


def warnings_of_testing(levels, expected, share):
    """The same, of what testing costs, and of what AutoFocus makes of it."""
    found = []
    if levels.prod(-1).max() > 2e7:
        width, height = levels.reshape(-1, 2)[levels.prod(-1).argmax()]
        found.append(
            f'The largest image has {width}x{height} px at the finest level: '
            'testing it whole takes much memory.'
        )
    pixels = expected['test_pixels_per_image']
    if share is None and pixels > 4e6:
        found.append(
            f'Testing looks at {pixels / 1e6:.1f} Mpixel an image; '
            '--levels 2 gives a coarse level, from which AutoFocus can find '
            'where to look.'
        )
    if share is not None and share.pixels > 0.5:
        found.append(
            'AutoFocus will hardly pay: even FocusPixels from the annotations '
            f'lead to {share.pixels:.0%} of the pixels.'
        )
    if share is not None and share.boxes < 0.99:
        found.append(
            f'AutoFocus cannot find {1 - share.boxes:.1%} of the boxes, '
            'however good its head: on a level before theirs they are too '
            'small for FocusPixels, or FocusChips cut them. Take coarse '
            'levels that are finer, or lower the first of the sizes of '
            'FocusPixels.'
        )
    return found


def report_of(images, own, focus_head, num_without_area, args):
    """Everything there is to print, and the advice itself."""

    def propose(chip_size):
        advice = suggest(images, chip_size, args.levels)
        if focus_head and len(advice.scales) < 2:
            # AutoFocus needs a level to focus from.
            advice = suggest(images, chip_size, 2)
        return advice

    advice = propose(args.chip_size)
    some = some_images(images, MOST)
    expected = {
        'proposed': forecast(some, advice.settings, advice.test_pyramid),
        "COCO's": forecast(some, RELEASED_COCO, RELEASED_COCO_TEST),
    }
    if own:
        expected['config'] = forecast(some, *own)
    others = {}
    for size in CHIP_SIZES:
        if size != advice.chip_size and not args.chip_size:
            other = propose(size)
            others[size] = dict(
                scales=other.scales,
                **forecast(some, other.settings, other.test_pyramid),
            )
    share = None
    if advice.focus:
        share = focus_share(
            some_images(images, MOST_FOCUS),
            advice.test_pyramid,
            advice.focus_sizes,
            advice.focus,
            (focus_head or {}).get('stride', 16),
        )
    percentiles = np.percentile(box_sizes(images.boxes), PERCENTILES)
    report = dict(
        images=len(images),
        boxes=len(images.boxes),
        counted_images=len(some),
        smallest_image=smallest_and_largest(images)[0],
        largest_image=smallest_and_largest(images)[1],
        sizes=dict(zip(PERCENTILES, percentiles.tolist(), strict=True)),
        proposed=asdict(advice),
        expected=expected,
        other_chip_sizes=others,
        focus_share=share and share._asdict(),
        warnings=warnings_of(
            images, advice, expected['proposed'], share, num_without_area
        ),
    )
    if args.config_out and not own:
        report['warnings'].append(FIRST_STEP)
    if args.config_out and own and args.cfg_options:
        report['warnings'].append(
            f'{args.config_out} inherits from {args.config} as it is, without '
            'what --cfg-options changed.'
        )
    return report, advice


def smallest_and_largest(images):
    area = images.widths * images.heights
    return [
        (int(images.widths[i]), int(images.heights[i]))
        for i in (area.argmin(), area.argmax())
    ]


def fragment(advice, base=None, autofocus=False):
    """The settings as a part of a config; ``base``: what it builds on."""
    size = advice.chip_size
    focus = [
        f'    focus_head=dict(sizes={advice.focus_sizes}),',
        '    focus=[',
        *(f'        dict({as_arguments(step)}),' for step in advice.focus),
        '    ],',
    ]
    thresholds = 'focus_curve.py tells which thresholds suit a trained one.'
    lines = [
        '# Proposed by tools/analysis_tools/suggest_settings.py.',
        *(
            [f'_base_ = {str(base)!r}', '']
            if base
            else [
                '# Not a config of its own: to be pasted into one that trains',
                '# on chips, which tools/sniperize.py makes.',
            ]
        ),
        f'_scales = {list(advice.scales)}',
        '',
        'model = dict(',
        '    scales=_scales,',
        f'    valid_ranges={list(advice.test_valid_ranges)},',
        '    data_preprocessor=dict(',
        '        batch_augments=[',
        f"            dict(type='BatchFixedSizePad', size=({size}, {size}))",
        '        ]',
        '    ),',
        *([f'    # {thresholds}', *focus] if autofocus else []),
        ')',
        'train_dataloader = dict(',
        '    dataset=dict(',
        '        scales=_scales,',
        f'        valid_ranges={list(advice.valid_ranges)},',
        f'        chip_size={size},',
        f'        stride={advice.stride},',
        '    )',
        ')',
    ]
    if advice.focus and not autofocus:
        lines += [
            '# With an AutoFocus detector also:',
            f'# {thresholds}',
            '# model.update(',
            *(f'# {line}' for line in focus),
            '# )',
        ]
    return '\n'.join(lines) + '\n'


def as_arguments(values):
    return ', '.join(f'{key}={value}' for key, value in vars(values).items())


def range_text(bounds):
    return f'[{bounds[0] or 0}, {bounds[1] or "∞"})'


def print_report(report, advice):
    small, large = report['smallest_image'], report['largest_image']
    print(
        f'{report["images"]} images of {small[0]}x{small[1]} to '
        f'{large[0]}x{large[1]} px, {report["boxes"]} boxes'
    )
    sizes = report['sizes']
    print('percentile  ' + ''.join(f'{p:7}%' for p in sizes))
    print('size, px    ' + ''.join(f'{s:8.1f}' for s in sizes.values()))
    print('\nproposed')
    print(f'{"level":>14}{"trained sizes":>16}{"tested sizes":>16}')
    for row in zip(
        advice.scales,
        advice.valid_ranges,
        advice.test_valid_ranges,
        strict=True,
    ):
        scale, trained, tested = row
        print(
            f'{str(scale):>14}{range_text(trained):>16}'
            f'{range_text(tested):>16}'
        )
    print(f'chip_size {advice.chip_size}, stride {advice.stride}')
    print('\nwhy')
    for reason in advice.reasons:
        print(f'- {reason}')
    print_expected(report)
    print_focus(report, advice)
    if report['warnings']:
        print('\nmind')
        for warning in report['warnings']:
            print(f'- {warning}')


def print_expected(report):
    rows = {
        'chips an image': lambda e: f'{e["chips_per_image"]:.2f}',
        'Mpixel an image': lambda e: f'{e["pixels_per_image"] / 1e6:.2f}',
        '  to one 800x1333': lambda e: f'{e["pixel_ratio_single_scale"]:.2f}',
        '  to whole levels': lambda e: f'{e["pixel_ratio_pyramid"]:.2f}',
        'Mpixel in testing': (
            lambda e: f'{e["test_pixels_per_image"] / 1e6:.2f}'
        ),
        'boxes covered': lambda e: f'{e["boxes_covered"]:.2%}',
        'boxes that train nowhere': lambda e: str(e['uncovered_boxes']),
        'level px, 5%': lambda e: seen(e, 0),
        '  median': lambda e: seen(e, 1),
        '  95%': lambda e: seen(e, 2),
    }
    expected = report['expected']
    print(f'\n{"expected":26}' + ''.join(f'{name:>10}' for name in expected))
    for name, row in rows.items():
        print(
            f'{name:26}' + ''.join(f'{row(e):>10}' for e in expected.values())
        )
    if report['counted_images'] < report['images']:
        print(f'(counted on {report["counted_images"]} of the images)')
    for size, other in report['other_chip_sizes'].items():
        print(
            f'--chip-size {size}: levels {list(other["scales"])}, '
            f'{other["chips_per_image"]:.2f} chips an image, '
            f'{other["pixels_per_image"] / 1e6:.2f} Mpixel, '
            f'{other["boxes_covered"]:.2%} covered, '
            f'median {seen(other, 1)} level px'
        )


def seen(expected, index):
    return f'{expected["seen"][index]:.0f}' if expected['seen'] else '-'


def print_focus(report, advice):
    print('\nAutoFocus')
    if not advice.focus:
        print(
            '- One level: there is none to focus from; --levels 2 gives one.'
        )
        return
    print(f'- FocusPixels: sizes {advice.focus_sizes}, chip pixels')
    for scale, step in zip(advice.scales, advice.focus, strict=False):
        print(f'- after level {scale}: {as_arguments(step)}')
    share = report['focus_share']
    print(
        f'- pixels looked at: {share["pixels"]:.0%} of those of whole levels'
    )
    print(f'- boxes reached: {share["boxes"]:.1%}')
    print(
        '- Both are of true FocusPixels, by these sizes; what a trained head '
        'reaches depends on its thresholds: draw focus_curve.py.'
    )


def main():
    args = parse_args()
    own = focus_head = num_without_area = None
    if args.ann:
        images, num_without_area = read_coco(args.ann)
    else:
        images, own, focus_head = read_config(args.config, args.cfg_options)
    if focus_head and args.levels == 1:
        raise ValueError(
            '--levels must be 2 or more for a CONFIG of AutoFocus. '
            'Received: 1.'
        )
    report, advice = report_of(images, own, focus_head, num_without_area, args)
    base = None
    if own and args.config_out:
        folder = Path(args.config_out).absolute().parent
        base = os.path.relpath(args.config, folder)
    text = fragment(advice, base, focus_head is not None)
    if args.config_out:
        write_whole(args.config_out, lambda part: part.write_text(text))
    if args.out:
        from sniper_mmdet.visualization import draw_sizes

        figure = draw_sizes(images, advice.settings, advice.target)
        write_whole(args.out, lambda part: figure.savefig(part, dpi=100))
    if args.json:
        print(json.dumps(dict(report, config=text), indent=2))
        return
    print_report(report, advice)
    print(f'\nto paste into a config that trains on chips\n{text}', end='')


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'suggest_settings: {error}') from None
