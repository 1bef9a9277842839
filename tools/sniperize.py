"""Write a config that trains the detector of CONFIG on chips.

    python tools/sniperize.py CONFIG --out FILE
    python tools/sniperize.py CONFIG --autofocus  # to standard output
    python tools/sniperize.py CONFIG --suggest --autofocus --out FILE

CONFIG is any text config of MMDetection, or one of its zoo. The new config
inherits from it and changes the model's type, assigners, pipelines and
loaders, in a few dozen lines that you can read. The tool lists the decisions
that it leaves to you on standard error and at the top of FILE. It refuses a
config that cannot be trained on chips, and gives the reason.
"""

import sys
from pathlib import Path

from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__)
    add = parser.add_argument
    add('config', help='config path, or mmdet::FOLDER/FILE.py')
    add(
        '--autofocus',
        action='store_true',
        help='make an AutoFocus detector; runs the plain one once',
    )
    add(
        '--suggest',
        action='store_true',
        help='choose settings by the boxes of the training data, instead of '
        "COCO's; with --autofocus also plan which pixels to look at",
    )
    add(
        '--out',
        metavar='FILE',
        help='.py file to write; default: standard output',
    )
    add('--force', action='store_true', help='overwrite FILE if it exists')
    args = cli.parse(parser)
    out = args.out = Path(args.out) if args.out else None
    config = Path(args.config)
    if out and (out.suffix != '.py' or not out.absolute().parent.is_dir()):
        parser.error(
            '--out must be a .py file in a folder that exists. '
            f'Received: {out}.'
        )
    if out and out.exists():
        # The path may differ, by '..' or a link.
        if config.exists() and out.samefile(config):
            parser.error(f'--out must not be CONFIG. Received: {out}.')
        if not args.force:
            parser.error(f'--out exists: {out}; --force writes over it.')
    return args


def main():
    args = parse_args()
    # Imports and the building of a detector may print.
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
