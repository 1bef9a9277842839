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

from sniper_mmdet.datasets.formats.proposal_pickles import (
    convert_proposals,
    keep_all_images,
)
from sniper_mmdet.engine.build import build_boxes_dataset, load_config
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.add_argument('src', help='pickle of proposals')
    parser.add_argument('config', help='config with the data set')
    parser.add_argument('--out', required=True, help='proposal file (.npz)')
    cli.add_split(parser, 'train')
    parser.add_argument(
        '--format',
        choices=['auto', 'sniper', 'mmdet'],
        default='auto',
        help="whose; auto: a list is the original's (default: auto)",
    )
    parser.add_argument(
        '--order',
        choices=['auto', 'file', 'python2'],
        default='auto',
        help="of a list: the annotation file's, or that of a Python 2 dict of "
        "image ids; auto: python2 for the original's of COCO (default: auto)",
    )
    parser.add_argument(
        '--nms',
        type=float,
        default=0.7,
        help='IoU threshold, 1 for none (default: 0.7, as the original does '
        'when it reads them)',
    )
    cli.add_cfg_options(parser)
    args = cli.parse(parser)
    cli.require_suffix(parser, args, out='.npz')
    if not 0 < args.nms <= 1:
        parser.error(f'--nms must be in (0, 1]. Received: {args.nms}.')
    with cli.quiet():
        cfg = load_config(args.config, args.cfg_options)
        loader = cfg.get(f'{args.split}_dataloader') or {}
        keep_all_images(loader.get('dataset', {}))
        dataset = build_boxes_dataset(cfg, args.split)
    count = convert_proposals(
        args.src, dataset, args.out, args.format, args.order, args.nms
    )
    print(f'\n{count} proposals of {len(dataset.keys)} images in {args.out}')


if __name__ == '__main__':
    cli.run(main)
