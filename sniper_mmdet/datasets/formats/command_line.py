"""The command line of the converters of text files."""

import argparse
from pathlib import Path

from sniper_mmdet.utils import cli

from .coco import NAMED


def converter_parser(doc: str, labels: str) -> argparse.ArgumentParser:
    """A parser of the arguments of :func:`.text_files.convert_text_files`.

    Args:
        doc (str): The converter's docstring.
        labels (str): Name of the second argument.
    """
    parser = cli.make_parser(doc)
    parser.allow_abbrev = False
    add = parser.add_argument
    add('images', metavar='IMAGES', type=Path, help='folder, read recursively')
    add(
        'labels',
        metavar=labels,
        type=Path,
        help='folder of the text files: IMAGES/a/b.jpg has a/b.txt in it',
    )
    add('--out', required=True, type=Path, help='COCO file (.json)')
    add(
        '--skip-broken',
        action='store_true',
        help='leave out broken lines, and images that cannot be read or lack '
        f'a text file, instead of stopping; the first {NAMED} are named, all '
        'are counted',
    )
    return parser
