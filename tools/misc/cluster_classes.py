"""Group the classes of a data set into super-classes.

    python tools/misc/cluster_classes.py CONFIG --checkpoint FILE --num 20 \
        --out super_classes.json
    python tools/misc/cluster_classes.py CONFIG --ann FILE.json \
        --out super_classes.json

The tool groups the classes of CONFIG's test data by k-means on their mean
features, which a DecoupledBBoxHead tracks during training, or by the
supercategory of the categories of a COCO file. The argument super_classes of a
DecoupledBBoxHead takes the file that it writes.
"""

from pathlib import Path

from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_config, cli.add_trust)
    add = parser.add_argument
    add('--checkpoint', help='checkpoint of a DecoupledBBoxHead')
    add('--ann', help='COCO file whose categories have a supercategory')
    add('--out', required=True, help='.json file to write')
    number = 'number of super-classes for k-means'
    cli.add_options(parser, num=(20, number), seed=(0, 'seed of k-means'))
    args = cli.parse(parser)
    if (args.checkpoint is None) == (args.ann is None):
        parser.error('give either --checkpoint or --ann.')
    cli.require_suffix(parser, args, out='.json')
    cli.require_at_least(parser, args, num=1)
    return args


def main():
    args = parse_args()
    with cli.quiet():
        from sniper_mmdet.apis.class_groups import (
            groups_by_features,
            groups_by_supercategory,
        )
        from sniper_mmdet.engine.build import load_config
        from sniper_mmdet.utils.files import write_json

        cfg = load_config(args.config, args.cfg_options)
        if args.ann:
            names, groups = groups_by_supercategory(cfg, args.ann)
        else:
            names, groups = groups_by_features(
                cfg, args.checkpoint, args.num, args.seed
            )
    write_json(Path(args.out), dict(classes=names, super_classes=groups))
    for group in range(max(groups) + 1):
        of = [n for n, g in zip(names, groups, strict=True) if g == group]
        print(f'{group:>4}  {", ".join(of)}')


if __name__ == '__main__':
    cli.run(main)
