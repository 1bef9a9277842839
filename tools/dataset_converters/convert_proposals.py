"""Convert proposals of the original SNIPER, or of MMDetection, to our file.

    python tools/dataset_converters/convert_proposals.py SRC.pkl CONFIG \
        --out FILE.npz

The original's files are Python 2 pickles: a list of one array (N, 5) per
image, x2 and y2 inclusive. The order is that of the image set's file or, for
COCO, that of a Python 2 dict of the image ids, which the tool reconstructs.
MMDetection's files are those of its DumpProposals metric, keyed by file name,
or, before version 3, a list in the annotation file's order. The tool reads
arrays from pickles and refuses anything that could run code.
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
    listed = 'order of a list: that of the annotation file, or of a Python 2 '
    listed += "dict of image ids; auto: python2 for the original's of COCO"
    cli.add_options(
        parser,
        format=(
            'auto',
            "format of SRC; auto: a list is the original's",
            formats,
        ),
        order=('auto', listed, orders),
        nms=(0.7, "IoU threshold of NMS, 1 for no NMS; the original's"),
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
