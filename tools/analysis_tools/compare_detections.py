"""Compare COCO result files: AP, and false positives at a fixed recall.

    python tools/analysis_tools/compare_detections.py ANN.json NAME=FILE ...

FILE is what tools/test.py writes with --format-only, or with --cfg-options
test_evaluator.outfile_prefix=PREFIX. Files of one name are runs that differ
in their seed: their mean and standard deviation are given.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

from sniper_mmdet.evaluation import (
    average_precision,
    evaluate_boxes,
    false_positives,
)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('ann', help='COCO json of the images that were tested')
    parser.add_argument('files', nargs='+', metavar='NAME=FILE')
    parser.add_argument(
        '--recall',
        type=float,
        default=0.7,
        help='share of all objects, found at IoU 0.5, up to which false '
        'positives are counted (default: 0.7)',
    )
    parser.add_argument(
        '--max-dets',
        type=int,
        default=200,
        help='detections of an image that count (default: 200)',
    )
    parser.add_argument('--json', action='store_true', help='print JSON only')
    args = parser.parse_args()
    for file in args.files:
        if '=' not in file:
            parser.error(f'each file must be NAME=FILE. Received: {file}.')
    if not 0 < args.recall <= 1:
        parser.error(f'--recall must be in (0, 1]. Received: {args.recall}.')
    if args.max_dets < 1:
        parser.error(
            f'--max-dets must be at least 1. Received: {args.max_dets}.'
        )
    return args


def measure(truth, path, args):
    try:
        detections = json.loads(Path(path).read_text())
        evaluation = evaluate_boxes(truth, detections, maxDets=[args.max_dets])
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is not a COCO result file for {args.ann}: '
            f'{type(error).__name__}: {error}'
        ) from None
    return dict(
        average_precision(evaluation),
        FP=false_positives(evaluation, args.recall),
    )


def main():
    args = parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            truth = COCO(args.ann)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{args.ann} is not a COCO json: {type(error).__name__}: '
                f'{error}'
            ) from None
    runs = {}
    for name, _, path in (file.partition('=') for file in args.files):
        runs.setdefault(name, []).append(measure(truth, path, args))
    table = {}
    for name, rows in runs.items():
        table[name] = dict(runs=len(rows))
        for key in rows[0]:
            values = np.array([row[key] for row in rows], float)
            spread = values.std(ddof=1) if len(rows) > 1 else 0.0
            table[name][key] = [float(values.mean()), float(spread)]
    if args.json:
        print(json.dumps(table, indent=2))
        return
    width = max(map(len, table))
    columns = [key for key in next(iter(table.values())) if key != 'runs']
    heads = [
        f'FP@{args.recall:g}' if column == 'FP' else column
        for column in columns
    ]
    print(f'{"":{width}} runs' + ''.join(f'{head:>13}' for head in heads))
    for name, row in table.items():
        cells = ''.join(
            f'{row[c][0]:7.2f} ±{row[c][1]:5.2f}'.rjust(13) for c in columns
        )
        print(f'{name:{width}} {row["runs"]:4d}{cells}')
    print('FP: false positives an image; ± standard deviation over the runs')


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'compare_detections: {error}') from None
