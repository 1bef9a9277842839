"""Compare COCO result files: AP, and false positives at a fixed recall.

    python tools/analysis_tools/compare_detections.py ANN.json NAME=FILE ...

FILE is a result file that tools/test.py writes with --format-only, or with
--cfg-options test_evaluator.outfile_prefix=PREFIX. Several files with one NAME
are runs with different seeds; the table shows their mean and standard
deviation.
"""

from sniper_mmdet.evaluation.comparison import compare_detections
from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_json)
    add = parser.add_argument
    add('ann', help='COCO json of the test images')
    add('files', nargs='+', metavar='NAME=FILE')
    recall = 'recall at IoU 0.5 at which false positives are counted '
    recall += '(default: 0.7)'
    add('--recall', type=float, default=0.7, help=recall)
    most = 'detections per image that count, best first (default: 200)'
    add('--max-dets', type=int, default=200, help=most)
    args = cli.parse(parser)
    args.files = cli.split_names(parser, args.files, 'NAME=FILE')
    if not 0 < args.recall <= 1:
        parser.error(f'--recall must be in (0, 1]. Received: {args.recall}.')
    cli.require_at_least(parser, args, max_dets=1)
    return args


def main():
    args = parse_args()
    given = args.ann, args.files, args.recall, args.max_dets
    found = compare_detections(*given)
    if args.json:
        cli.print_json(found)
        return
    table = {}
    for name, row in found.items():
        table[name] = dict(runs=str(row.pop('runs')))
        for key, (mean, spread) in row.items():
            head = f'FP@{args.recall:g}' if key == 'FP' else key
            table[name][head] = f'{mean:.2f} ±{spread:5.2f}'
    cli.print_table(table)
    print('FP: false positives per image; ± standard deviation over the runs')


if __name__ == '__main__':
    cli.run(main)
