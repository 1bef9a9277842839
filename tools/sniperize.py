"""Write the config that trains another one's detector on chips of its data.

    python tools/sniperize.py CONFIG --out FILE
    python tools/sniperize.py CONFIG --autofocus  # to standard output

CONFIG is any text config of MMDetection, or one of its zoo. What is written
inherits from it and changes the model's type, assigners, pipelines and
loaders, in a few dozen lines that are there to be read. What it could not
decide is told, on standard error and at the top of FILE; what cannot be
trained on chips is refused, with the reason.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='path, or mmdet::FOLDER/FILE.py')
    parser.add_argument(
        '--autofocus',
        action='store_true',
        help='an AutoFocus detector; runs the plain one to see its features',
    )
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='file for the config, .py; default: standard output',
    )
    parser.add_argument(
        '--force', action='store_true', help='write over FILE if it exists'
    )
    args = parser.parse_args()
    if args.out:
        out = Path(args.out)
        if out.suffix != '.py' or not out.absolute().parent.is_dir():
            parser.error(
                '--out must be a .py file in a folder that exists. '
                f'Received: {out}.'
            )
        # By whatever name: '..', a link.
        if (
            out.exists()
            and os.path.exists(args.config)
            and os.path.samefile(out, args.config)
        ):
            parser.error(f'--out must not be CONFIG. Received: {out}.')
        if out.exists() and not args.force:
            parser.error(f'--out exists: {out}; --force writes over it.')
    return args


def main():
    args = parse_args()
    out = Path(args.out) if args.out else None
    # Building a detector, and importing what builds it, may print.
    with contextlib.redirect_stdout(sys.stderr):
        from sniper_mmdet.sniperize import (
            base_of,
            read_plain,
            sniperize,
        )
        from sniper_mmdet.utils.files import write_whole

        base = base_of(args.config, out.absolute().parent if out else '.')
        text, notes = sniperize(read_plain(args.config), base, args.autofocus)
    if out:
        write_whole(out, lambda part: part.write_text(text))
    else:
        print(text, end='')
    print(f'sniperize could not decide, for {args.config}:', file=sys.stderr)
    for note in notes:
        print(f'- {note}', file=sys.stderr)


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'sniperize: {error}') from None
