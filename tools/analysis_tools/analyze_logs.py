"""Draw curves from the logs of runs, or print their time per iteration.

    python tools/analysis_tools/analyze_logs.py plot_curve RUN [RUN ...] \\
        --keys loss bbox_mAP chips --out FILE.png

    python tools/analysis_tools/analyze_logs.py cal_train_time RUN [RUN ...]

RUN is a work dir, or one scalars.json of LocalVisBackend. A key is a name in
the log, the part after its slash (bbox_mAP for coco/bbox_mAP) or the part
before it (pixels for pixels/share, ...); "chips" draws the number of chips by
level, positive and negative.

The options are those of MMDetection's tool of this name, with four
differences. A work dir is a run, and the logs of a resumed run are joined at
the iteration where each continues. A key need not be in the first epoch.
Losses, other scalars, metrics of each kind and chips have a panel each, over
iterations or epochs. --out is required: the tool opens no window.
"""

import numpy as np

from sniper_mmdet.logs import RunLog, draw_curves
from sniper_mmdet.utils import cli
from sniper_mmdet.utils.files import write_figure


def parse_args():
    parser = cli.make_parser(__doc__)
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='draw curves')
    time = tasks.add_parser(
        'cal_train_time', help='print seconds per iteration'
    )
    for task, run in ((plot, plot_curve), (time, cal_train_time)):
        task.set_defaults(run=run)
        task.add_argument('runs', nargs='+', metavar='RUN')
    add = plot.add_argument
    add('--keys', nargs='+', default=['bbox_mAP'], help='keys to draw')
    names = 'a name for each run, or for each key of each run, run by run'
    add('--legend', nargs='+', help=names)
    add('--title')
    add(
        '--out',
        required=True,
        help='file of the plot, .png (the default) or .pdf',
    )
    first = 'include the first value of each epoch'
    time.add_argument('--include-outliers', action='store_true', help=first)
    args = cli.parse(parser)
    if args.run is plot_curve:
        allowed = sorted({len(args.runs), len(args.runs) * len(args.keys)})
        rule = f'--legend must give {" or ".join(map(str, allowed))} names'
        num = len(args.legend or [])
        cli.require(plot, num in [0, *allowed], rule, num)
        cli.require_picture(plot, args)
    return args


def plot_curve(args):
    figure = draw_curves(args.runs, args.keys, args.legend, args.title)
    write_figure(args.out, figure)
    num = sum(len(axis.lines) for axis in figure.axes)
    print(f'{num} curves in {args.out}')


def cal_train_time(args):
    for run in args.runs:
        means = RunLog(run).seconds(args.include_outliers)
        print(f'----- {run} -----')
        for word, choose in (('slowest', max), ('fastest', min)):
            epoch = choose(means, key=means.get)
            if epoch is not None:  # there are none in an iteration-based loop
                print(f'{word} epoch {epoch}: {means[epoch]:.4f} s/iter')
        mean, std = np.mean([*means.values()]), np.std([*means.values()])
        print(f'std over epochs: {std:.4f} s/iter')
        print(f'average: {mean:.4f} s/iter\n')


def main():
    args = parse_args()
    args.run(args)


if __name__ == '__main__':
    cli.run(main)
