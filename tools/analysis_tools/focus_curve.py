"""AP of AutoFocus against the pixels it looks at and the time it takes.

    python tools/analysis_tools/focus_curve.py CONFIG CHECKPOINT --out FILE.png

The config's thresholds are multiplied by each of --factors; --thresholds gives
points besides. The whole pyramid and each level alone are the points of
reference. All take turns image by image. --ground-truth adds FocusPixels from
annotations: what is lost there, the idea loses, not the focus head.
"""

import argparse
import contextlib
import dataclasses
import json
import sys

import numpy as np
from mmengine.config import DictAction

from sniper_mmdet.apis import (
    load_autofocus,
    measure,
    reference_ways,
    require_coco,
)
from sniper_mmdet.engine.build import load_config
from sniper_mmdet.engine.cpu import prepare_cpu


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config of an AutoFocus detector')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='picture of the curve, .png or .pdf')
    parser.add_argument(
        '--factors',
        type=float,
        nargs='*',
        default=[0.05, 0.2, 0.5, 1, 2, 4],
        help='by which the thresholds are multiplied',
    )
    parser.add_argument(
        '--thresholds',
        nargs='+',
        default=[],
        metavar='T,T...',
        help='points more: thresholds of all levels but the finest',
    )
    parser.add_argument(
        '--ground-truth',
        action='store_true',
        help='also FocusPixels from annotations',
    )
    parser.add_argument('--num', type=int, default=0, help='images; 0 for all')
    parser.add_argument('--json', action='store_true', help='print JSON only')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    args = parser.parse_args()
    if min(args.factors, default=0) < 0:
        parser.error(
            f'--factors must not be negative. Received: {args.factors}.'
        )
    if not (args.factors or args.thresholds or args.ground_truth):
        parser.error('--factors or --thresholds must give a point.')
    return args


def with_changes(model, **changes):
    """A way to test the model with some attributes changed."""

    def run(images, samples):
        before = {name: getattr(model, name) for name in changes}
        try:
            for name, value in changes.items():
                setattr(model, name, value)
            return model.predict(images, samples)
        finally:
            for name, value in before.items():
                setattr(model, name, value)

    return run


def parse_thresholds(text, model):
    try:
        found = [float(number) for number in text.split(',')]
    except ValueError:
        found = []
    if len(found) != len(model.focus):
        raise ValueError(
            f'--thresholds must each be {len(model.focus)} numbers with '
            f'commas between them. Received: {text}.'
        )
    return found


def all_ways(model, args):
    ways = reference_ways(model)
    for factor in args.factors:
        focus = [
            dataclasses.replace(step, threshold=step.threshold * factor)
            for step in model.focus
        ]
        ways[f'thresholds x {factor:g}'] = with_changes(model, focus=focus)
    for text in args.thresholds:
        focus = [
            dataclasses.replace(step, threshold=threshold)
            for step, threshold in zip(
                model.focus, parse_thresholds(text, model), strict=True
            )
        ]
        ways[f'thresholds {text}'] = with_changes(model, focus=focus)
    if args.ground_truth:
        ways['ground truth'] = with_changes(model, ground_truth=True)
    return ways


def summary(table):
    """AP, side of the square of pixels, share and seconds of each way."""
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


def draw(rows, path):
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    curve = [
        row for name, row in rows.items() if name.startswith('thresholds')
    ]
    _, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    labels = dict(share='pixels, share of the pyramid', seconds='s an image')
    for axis, (key, label) in zip(axes, labels.items(), strict=True):
        points = sorted((row[key], row['AP']) for row in curve)
        axis.plot(*zip(*points, strict=True), 'o-', label='AutoFocus')
        for name, row in rows.items():
            if not name.startswith('thresholds'):
                axis.plot(row[key], row['AP'], 's')
                axis.annotate(
                    name,
                    (row[key], row['AP']),
                    fontsize=8,
                    xytext=(4, -10),
                    textcoords='offset points',
                )
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('AP')
    axes[0].legend(loc='lower right')
    plt.tight_layout()
    plt.savefig(path, dpi=100)


def main():
    args = parse_args()
    prepare_cpu()
    with contextlib.redirect_stdout(sys.stderr):
        cfg = load_config(args.config, args.cfg_options)
        require_coco(cfg)
        model = load_autofocus(cfg, args.checkpoint)
        rows = summary(measure(cfg, all_ways(model, args), args.num))
    if args.out:
        draw(rows, args.out)
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print(
        f'{"":18}{"AP":>7}{"AP50":>7}{"AP_S":>7}{"side":>7}{"share":>8}'
        f'{"s":>8}'
    )
    for name, row in rows.items():
        print(
            f'{name:18}{row["AP"]:7.3f}{row["AP50"]:7.3f}{row["AP_S"]:7.3f}'
            f'{row["side"]:7.0f}{row["share"]:8.3f}{row["seconds"]:8.3f}'
        )


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'focus_curve: {error}') from None
