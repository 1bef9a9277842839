"""Tune the settings of AutoFocus for a checkpoint, without training.

    python tools/analysis_tools/tune.py CONFIG CHECKPOINT --config-out mine.py
    python tools/analysis_tools/tune.py CONFIG CHECKPOINT --budget 0.2

The detector runs once over the images at many levels. From its outputs the
tool simulates settings and chooses levels, test ranges, thresholds, dilation,
least chip and border. It confirms the best settings by real runs, and measures
the chosen one on images that were not used for tuning. --split val tunes on
every second test image and measures on the others; --split train tunes on
training images.
"""

import sys
from pathlib import Path

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.fitting import report
from sniper_mmdet.fitting.tuner import tune
from sniper_mmdet.utils import cli, config_out
from sniper_mmdet.utils.files import write_figure, write_whole


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_json)
    wish = parser.add_mutually_exclusive_group()
    budget = "best AP at no more than this share of the pyramid's pixels"
    wish.add_argument('--budget', type=float, metavar='SHARE', help=budget)
    loss = 'fewest pixels at no more than this loss of AP to the best setting '
    loss += '(default: 0.2)'
    wish.add_argument(
        '--loss', type=float, metavar='AP', default=0.2, help=loss
    )
    splits = dict(choices=['val', 'train'])
    cli.add_options(
        parser,
        split=('val', 'source of the images to tune on', splits),
        num=(0, 'images to tune on, and to measure on; 0 for all'),
        config_out='.py file for a config that inherits from CONFIG',
        out='file for a plot of the curve, .png or .pdf',
    )
    keep = "keep CONFIG's levels, and with --split train also their ranges"
    parser.add_argument('--keep-levels', action='store_true', help=keep)
    args = cli.parse(parser)
    cli.require_at_least(parser, args, loss=0, num=0)
    cli.require_picture(parser, args)
    config_out.require_outputs(parser, args, args.config, args.checkpoint)
    return args


def main():
    args = parse_args()
    prepare_cpu()
    with cli.quiet():
        cfg = load_config(args.config, args.cfg_options)
        tuned = tune(
            cfg,
            args.checkpoint,
            args.budget,
            args.loss,
            args.split,
            args.num,
            keep_levels=args.keep_levels,
        )
    if args.config_out:
        base = config_out.base_of(args.config, Path(args.config_out).parent)
        text = report.config_text(tuned, base)
        write_whole(args.config_out, lambda part: part.write_text(text))
        for told in config_out.told_of_options(args):
            print(told, file=sys.stderr)
    if args.out:
        write_figure(args.out, report.draw_curve(tuned))
    if args.json:
        cli.print_json(report.summary(tuned))
        return
    print(report.text(tuned))


if __name__ == '__main__':
    cli.run(main)
