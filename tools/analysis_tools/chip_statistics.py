"""Count the chips that SNIPER settings give on a data set.

    python tools/analysis_tools/chip_statistics.py CONFIG
    python tools/analysis_tools/chip_statistics.py CONFIG --proposals FILE.npz
    python tools/analysis_tools/chip_statistics.py --ann instances.json --json

With --ann alone, no image and no config is needed: the settings are those
released for COCO.
"""

from mmengine.utils import track_iter_progress

from sniper_mmdet.chips import RELEASED_COCO, from_coco, mine_chips
from sniper_mmdet.tuning import chip_statistics
from sniper_mmdet.tuning.text import range_text
from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__)
    cli.add_source(parser)
    cli.add_json(parser)
    add = parser.add_argument
    add('--proposals', help="file for negative chips, instead of the config's")
    add('--seed', type=int, default=0)
    add('--epochs', type=int, default=1, help='epochs to average over')
    args = cli.parse(parser)
    cli.require_source(parser, args)
    if args.ann is not None and args.proposals:
        parser.error('--proposals need a CONFIG, which names the images.')
    cli.require_at_least(parser, args, epochs=1)
    return args


def print_statistics(stats, pyramid):
    print(
        f'{stats["images"]} images, {stats["boxes"]} boxes, mean of '
        f'{stats["epochs"]} epochs'
    )
    columns = {
        'valid range': [range_text(bounds) for bounds in pyramid.valid_ranges],
        'boxes': stats['valid_boxes_per_level'],
        'positive': stats['positive_chips_per_level'],
        'negative': stats['negative_chips_per_level'],
    }
    rows = [
        (str(scale), {head: column[k] for head, column in columns.items()})
        for k, scale in enumerate(pyramid.scales)
    ]
    formats = dict(boxes='d', positive='.1f', negative='.1f')
    cli.print_table(rows, formats, 'level')
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

        with cli.quiet():
            cfg = load_config(args.config, args.cfg_options)
            dataset = build_chip_dataset(cfg, args.proposals)
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
        cli.print_json(stats)
    else:
        print_statistics(stats, settings.pyramid)


if __name__ == '__main__':
    cli.run(main)
