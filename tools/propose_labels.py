"""Propose boxes for labelling, of objects of any class.

    python tools/propose_labels.py CONFIG CHECKPOINT FOLDER --out labels.json

FOLDER has images in one folder per class, FOLDER/CLASS/*.jpg: the likeliest
object of each image becomes a box of its class. With --every, FOLDER is any
folder of images, and all their objects become boxes of the category 'object'.
labels.json is a COCO file, which CVAT and Label Studio import. CONFIG needs a
sniper_mmdet.DecoupledBBoxHead.
"""

from pathlib import Path

from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector)
    add = parser.add_argument
    add('folder', metavar='FOLDER', help='folder of images')
    add('--out', required=True, help='.json file to write, COCO format')
    add(
        '--every',
        action='store_true',
        help='propose all objects, without classes',
    )
    error = 'skip: leave out images that cannot be read'
    cli.add_options(
        parser,
        score_thr=(0.3, 'least P(object) with --every'),
        batch_size=(1, 'images per batch'),
        on_error=('raise', error, dict(choices=['raise', 'skip'])),
    )
    args = cli.parse(parser)
    cli.require_suffix(parser, args, out='.json')
    there = Path(args.out).absolute().parent.is_dir()
    rule = '--out must be in a folder that exists'
    cli.require(parser, there, rule, args.out)
    cli.require_at_least(parser, args, batch_size=1)
    cli.require_shares(parser, args, 'score_thr')
    return args


def main():
    args = parse_args()
    with cli.quiet():
        from torch import nn

        from sniper_mmdet.apis import propose_labels
        from sniper_mmdet.engine.build import load_config
        from sniper_mmdet.engine.checkpoints import load_detector
        from sniper_mmdet.engine.cpu import prepare_cpu

        prepare_cpu()
        cfg = load_config(args.config, args.cfg_options)
        model = load_detector(cfg, args.checkpoint, nn.Module)
        model.cfg = cfg
        names = 'every', 'score_thr', 'batch_size', 'on_error'
        how = {name: getattr(args, name) for name in names}
        written = propose_labels(model, args.folder, args.out, **how)
    print(written.summary())


if __name__ == '__main__':
    cli.run(main)
