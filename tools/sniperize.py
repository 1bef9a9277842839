"""Write the config that trains another one's detector on chips of its data.

    python tools/sniperize.py CONFIG --out FILE
    python tools/sniperize.py CONFIG --autofocus  # to standard output
    python tools/sniperize.py CONFIG --suggest --autofocus --out FILE

CONFIG is any text config of MMDetection, or one of its zoo. What is written
inherits from it and changes the model's type, assigners, pipelines and
loaders, in a few dozen lines that are there to be read. What it could not
decide is told, on standard error and at the top of FILE; what cannot be
trained on chips is refused, with the reason.
"""

import sys
from pathlib import Path

from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__)
    add = parser.add_argument
    add('config', help='path, or mmdet::FOLDER/FILE.py')
    add(
        '--autofocus',
        action='store_true',
        help='an AutoFocus detector; runs the plain one to see its features',
    )
    add(
        '--suggest',
        action='store_true',
        help='settings for the boxes of the training data, which is read, '
        "instead of COCO's; with --autofocus a plan of what to look at",
    )
    add('--out', metavar='FILE', help='.py file; default: standard output')
    add('--force', action='store_true', help='write over FILE if it exists')
    args = cli.parse(parser)
    out = args.out = Path(args.out) if args.out else None
    config = Path(args.config)
    if out and (out.suffix != '.py' or not out.absolute().parent.is_dir()):
        parser.error(
            '--out must be a .py file in a folder that exists. '
            f'Received: {out}.'
        )
    if out and out.exists():
        # By whatever name: '..', a link.
        if config.exists() and out.samefile(config):
            parser.error(f'--out must not be CONFIG. Received: {out}.')
        if not args.force:
            parser.error(f'--out exists: {out}; --force writes over it.')
    return args


def main():
    args = parse_args()
    # Building a detector, and importing what builds it, may print.
    with cli.quiet():
        from sniper_mmdet.sniperize import base_of, read_plain, sniperize
        from sniper_mmdet.utils.files import write_whole

        folder = args.out.absolute().parent if args.out else '.'
        base = base_of(args.config, folder)
        text, notes = sniperize(
            read_plain(args.config), base, args.autofocus, args.suggest
        )
    if args.out:
        write_whole(args.out, lambda part: part.write_text(text))
    else:
        print(text, end='')
    print(f'sniperize could not decide, for {args.config}:', file=sys.stderr)
    print(*(f'- {note}' for note in notes), sep='\n', file=sys.stderr)


if __name__ == '__main__':
    cli.run(main)
