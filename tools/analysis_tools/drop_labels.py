"""Drop a share of the boxes of a COCO file, to measure what that costs.

    python tools/analysis_tools/drop_labels.py train.json --share 0.3 \
        --out-dir DIR

The boxes are chosen at random over all images and classes. DIR/kept.json has
the other boxes, for training, and DIR/dropped.json the dropped ones.
DIR/ignored.json has all boxes, the dropped ones as crowds: a detector that
ignores crowds reaches the upper bound with it.
"""

from pathlib import Path

from mmengine.fileio import load

from sniper_mmdet.datasets.dropped_labels import drop_labels, with_ignored
from sniper_mmdet.utils import cli
from sniper_mmdet.utils.files import write_json


def parse_args():
    parser = cli.make_parser(__doc__)
    parser.add_argument('ann', help='COCO json')
    parser.add_argument('--out-dir', required=True, metavar='DIR')
    cli.add_options(
        parser,
        share=(0.3, 'share of the boxes to drop'),
        seed=(0, 'random seed of the choice'),
    )
    args = cli.parse(parser)
    right = 0 <= args.share < 1
    cli.require(parser, right, '--share must be in [0, 1)', args.share)
    cli.require_at_least(parser, args, seed=0)
    return args


def main():
    args = parse_args()
    coco = load(args.ann, file_format='json')
    if not isinstance(coco, dict) or 'annotations' not in coco:
        raise ValueError(f'{args.ann} is not a COCO json: no annotations.')
    kept, dropped = drop_labels(coco, args.share, args.seed)
    out = Path(args.out_dir)
    ignored = with_ignored(kept, dropped)
    for name, content in (
        ('kept', kept),
        ('dropped', dropped),
        ('ignored', ignored),
    ):
        write_json(out / f'{name}.json', content)
    counts = len(kept['annotations']), len(dropped['annotations'])
    print('{} boxes kept and {} dropped in {}'.format(*counts, out))


if __name__ == '__main__':
    cli.run(main)
