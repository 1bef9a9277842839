"""Turn proposals of the original SNIPER, or of MMDetection, into our file.

    python tools/dataset_converters/convert_proposals.py SRC.pkl CONFIG \
        --out FILE.npz

The original's files are Python 2 pickles: a list of one array (N, 5) per
image, x2 and y2 inclusive, in the order of an image set's file or, of COCO, in
that of a Python 2 dict of the image ids, which is found again here.
MMDetection's are what its DumpProposals metric writes, keyed by file name, or,
before version 3, a list in the annotation file's order. Pickles are read as
arrays; what could run code is refused.
"""

from sniper_mmdet.datasets.formats import proposal_pickles
from sniper_mmdet.engine.build import build_boxes_dataset, load_config
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.add_argument('src', help='pickle of proposals')
    cli.add_config(parser)
    parser.add_argument('--out', required=True, help='proposal file (.npz)')
    cli.add_split(parser, 'train')
    formats = dict(choices=['auto', 'sniper', 'mmdet'])
    orders = dict(choices=['auto', 'file', 'python2'])
    listed = "of a list: the annotation file's, or that of a Python 2 dict of "
    listed += "image ids; auto: python2 for the original's of COCO"
    cli.add_options(
        parser,
        format=('auto', "whose; auto: a list is the original's", formats),
        order=('auto', listed, orders),
        nms=(0.7, 'IoU threshold, 1 for none; as the original has it'),
    )
    args = cli.parse(parser)
    cli.require_suffix(parser, args, out='.npz')
    cli.require(parser, 0 < args.nms <= 1, '--nms must be in (0, 1]', args.nms)
    with cli.quiet():
        cfg = load_config(args.config, args.cfg_options)
        loader = cfg.get(f'{args.split}_dataloader') or {}
        proposal_pickles.keep_all_images(loader.get('dataset', {}))
        dataset = build_boxes_dataset(cfg, args.split)
    how = args.out, args.format, args.order, args.nms
    count = proposal_pickles.convert_proposals(args.src, dataset, *how)
    print(f'\n{count} proposals of {len(dataset.keys)} images in {args.out}')


if __name__ == '__main__':
    cli.run(main)
