"""Count the chips that SNIPER settings give on a data set.

    python tools/analysis_tools/chip_statistics.py CONFIG
    python tools/analysis_tools/chip_statistics.py CONFIG --proposals FILE.npz
    python tools/analysis_tools/chip_statistics.py --ann instances.json --json

With --ann the tool needs neither images nor a config: it takes the settings
that were released for COCO.
"""

from functools import partial

from sniper_mmdet.chips import RELEASED_COCO, from_coco, mine_chips
from sniper_mmdet.tuning import chip_statistics
from sniper_mmdet.tuning.text import range_text
from sniper_mmdet.utils import cli
from sniper_mmdet.utils.progress import track

HEAD = '{images} images, {boxes} boxes, mean of {epochs} epochs'
SUMS = """\
chips an image      {chips_per_image:.2f}
boxes covered       {boxes_covered:.2%} of all, {valid_boxes_covered:.2%} of \
those valid at a level
pixels to 800x1333  {pixel_ratio_single_scale:.2f} \
({pixel_ratio_single_scale_padded:.2f} padded)
pixels to pyramid   {pixel_ratio_pyramid:.3f}"""


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_source, cli.add_json)
    add = parser.add_argument
    proposals = "proposal file to use instead of the config's"
    add('--proposals', help=proposals)
    add('--seed', type=int, default=0)
    add('--epochs', type=int, default=1, help='epochs to average over')
    args = cli.parse(parser)
    cli.require_source(parser, args)
    if args.ann is not None and args.proposals:
        parser.error('--proposals need a CONFIG, which names the images.')
    cli.require_at_least(parser, args, epochs=1)
    return args


def print_statistics(stats, pyramid):
    print(HEAD.format(**stats))
    rows = []
    for k, scale in enumerate(pyramid.scales):
        row = {'valid range': range_text(pyramid.valid_ranges[k])}
        row['boxes'] = stats['valid_boxes_per_level'][k]
        for sign in ('positive', 'negative'):
            row[sign] = stats[f'{sign}_chips_per_level'][k]
        rows.append((str(scale), row))
    formats = dict(boxes='d', positive='.1f', negative='.1f')
    cli.print_table(rows, formats, 'level')
    print(SUMS.format(**stats))


def main():
    args = parse_args()
    if args.ann:
        images, settings = from_coco(args.ann), RELEASED_COCO
        mine = partial(mine_chips, images, settings)
    else:
        with cli.quiet():  # importing mmdet prints
            from sniper_mmdet.engine import build

            cfg = build.load_config(args.config, args.cfg_options)
            dataset = build.build_chip_dataset(cfg, args.proposals)
        images, settings, mine = dataset.images, dataset.settings, dataset.mine
    epochs = range(args.epochs)
    if args.epochs > 1 and not args.json:
        epochs = track(epochs)
    tables = [mine(args.seed, epoch) for epoch in epochs]
    stats = chip_statistics(images, settings, tables)
    if args.json:
        cli.print_json(stats)
    else:
        print_statistics(stats, settings.pyramid)


if __name__ == '__main__':
    cli.run(main)
