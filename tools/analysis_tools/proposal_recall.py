"""Recall of proposals by object size, of several files side by side.

python tools/extract_proposals.py CONFIG CHECKPOINT --split val --out A.npz
python tools/analysis_tools/proposal_recall.py CONFIG NAME=A.npz ...
"""

import argparse
import contextlib
import json
import sys

import numpy as np
from mmengine.config import DictAction

from sniper_mmdet.datasets.proposals import ProposalFile
from sniper_mmdet.engine.build import build_boxes_dataset, load_config
from sniper_mmdet.evaluation import proposal_recall


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file path')
    parser.add_argument('files', nargs='+', metavar='NAME=FILE.npz')
    parser.add_argument(
        '--split',
        choices=['train', 'val', 'test'],
        default='val',
        help="which of the config's data sets (default: val)",
    )
    parser.add_argument(
        '--num',
        type=int,
        default=900,
        help='best proposals of an image that count (default: 900)',
    )
    parser.add_argument('--json', action='store_true', help='print JSON only')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    args = parser.parse_args()
    for file in args.files:
        if '=' not in file:
            parser.error(f'each file must be NAME=FILE.npz. Received: {file}.')
    if args.num < 1:
        parser.error(f'--num must be at least 1. Received: {args.num}.')
    return args


def main():
    args = parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        dataset = build_boxes_dataset(
            load_config(args.config, args.cfg_options), args.split
        )
        images = dataset.images
    sizes = np.stack([images.widths, images.heights], 1)
    boxes = [images.of_image(i) for i in range(len(images))]
    table = {}
    for name, _, path in (file.partition('=') for file in args.files):
        found = ProposalFile(path).select(dataset.keys, sizes)
        proposals = [
            np.column_stack(
                [found.boxes[found.span(i)], found.scores[found.span(i)]]
            )
            for i in range(len(images))
        ]
        table[name] = proposal_recall(sizes, boxes, proposals, args.num)
    if args.json:
        print(json.dumps(table, indent=2))
        return
    width = max(map(len, table))
    columns = list(next(iter(table.values())))
    print(f'{"":{width}}' + ''.join(f'{column:>12}' for column in columns))
    for name, row in table.items():
        print(f'{name:{width}}' + ''.join(f'{row[c]:12.1f}' for c in columns))


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'proposal_recall: {error}') from None
