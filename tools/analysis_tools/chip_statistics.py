"""Count the chips that SNIPER settings give on a data set.

    python tools/analysis_tools/chip_statistics.py CONFIG
    python tools/analysis_tools/chip_statistics.py CONFIG --proposals FILE.npz
    python tools/analysis_tools/chip_statistics.py --ann instances.json --json

With --ann alone, no image and no config is needed: the settings are those
released for COCO.
"""

import argparse
import contextlib
import json
import sys

from mmengine.config import DictAction
from mmengine.utils import track_iter_progress

from sniper_mmdet.chips import (
    RELEASED_COCO,
    from_coco,
    mine_chips,
)
from sniper_mmdet.tuning import chip_statistics


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', nargs='?', help='train config file path')
    parser.add_argument('--ann', help='COCO json instead of a config')
    parser.add_argument(
        '--proposals',
        help="proposal file for negative chips, instead of the config's",
    )
    parser.add_argument('--json', action='store_true', help='print JSON only')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--epochs', type=int, default=1, help='epochs to average over'
    )
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
    if args.ann is not None and args.proposals:
        parser.error('--proposals need a CONFIG, which names the images.')
    if args.epochs < 1:
        parser.error(f'--epochs must be at least 1. Received: {args.epochs}.')
    return args


def print_table(stats, settings):
    print(
        f'{stats["images"]} images, {stats["boxes"]} boxes, mean of '
        f'{stats["epochs"]} epochs'
    )
    print(
        f'{"level":>14} {"valid range":>14} {"boxes":>8} {"positive":>9} '
        f'{"negative":>9}'
    )
    for level, scale in enumerate(settings.pyramid.scales):
        low, high = settings.pyramid.valid_ranges[level]
        print(
            f'{str(scale):>14} {f"[{low or 0}, {high or chr(8734)})":>14} '
            f'{stats["valid_boxes_per_level"][level]:>8} '
            f'{stats["positive_chips_per_level"][level]:>9.1f} '
            f'{stats["negative_chips_per_level"][level]:>9.1f}'
        )
    print(f'chips an image      {stats["chips_per_image"]:.2f}')
    print(
        f'boxes covered       {stats["boxes_covered"]:.2%} of all, '
        f'{stats["valid_boxes_covered"]:.2%} of those valid at a level'
    )
    print(
        f'pixels to 800x1333  {stats["pixel_ratio_single_scale"]:.2f} '
        f'({stats["pixel_ratio_single_scale_padded"]:.2f} padded)'
    )
    print(f'pixels to pyramid   {stats["pixel_ratio_pyramid"]:.3f}')


def main():
    args = parse_args()
    if args.ann:
        images, settings = from_coco(args.ann), RELEASED_COCO
        proposals = negatives = None
    else:
        from sniper_mmdet.engine.build import build_chip_dataset, load_config

        # What is printed while annotations are read is no part of the result.
        with contextlib.redirect_stdout(sys.stderr):
            dataset = build_chip_dataset(
                load_config(args.config, args.cfg_options), args.proposals
            )
        images, settings = dataset.images, dataset.settings
        proposals, negatives = dataset.proposals, dataset.negatives
    epochs = range(args.epochs)
    if args.epochs > 1 and not args.json:
        epochs = track_iter_progress(list(epochs))
    tables = [
        mine_chips(images, settings, args.seed, e, proposals, negatives)
        for e in epochs
    ]
    stats = chip_statistics(images, settings, tables)
    if args.json:
        print(json.dumps(stats, indent=2))
    else:
        print_table(stats, settings)


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'chip_statistics: {error}') from None
