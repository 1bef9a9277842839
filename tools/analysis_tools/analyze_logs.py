"""Draw what runs have logged, or tell how long their iterations took.

    python tools/analysis_tools/analyze_logs.py plot_curve RUN [RUN ...] \\
        --keys loss bbox_mAP chips --out FILE.png

    python tools/analysis_tools/analyze_logs.py cal_train_time RUN [RUN ...]

RUN is a work dir, or one scalars.json of LocalVisBackend. A key is a name in
the log, its end after a slash (bbox_mAP for coco/bbox_mAP) or its start before
one (pixels for pixels/share, ...); "chips" is chips by level and sign.

Called as MMDetection's own tool of this name, but: a work dir is a run, and
logs of a run that was resumed are joined, by the iteration at which each goes
on; a key need not be in the first epoch; losses, other scalars and metrics of
each kind, and chips have a panel each, over iterations or epochs; --out must
be given, no window is opened.
"""

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from sniper_mmdet.utils.files import picture_name, write_whole

TIMES = ('time', 'data_time')
MARKERS = '.x+^v'


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='draw curves')
    plot.add_argument('runs', nargs='+', metavar='RUN')
    plot.add_argument(
        '--keys', nargs='+', default=['bbox_mAP'], help='what is drawn'
    )
    plot.add_argument(
        '--legend',
        nargs='+',
        help='a name for each run, or for each key of the first run, then of '
        'the next',
    )
    plot.add_argument('--title')
    plot.add_argument(
        '--out', required=True, help='picture, .png (the default) or .pdf'
    )
    time = tasks.add_parser('cal_train_time', help='seconds an iteration')
    time.add_argument('runs', nargs='+', metavar='RUN')
    time.add_argument(
        '--include-outliers',
        action='store_true',
        help='count the first value of each epoch too',
    )
    args = parser.parse_args()
    if args.task == 'plot_curve' and args.legend:
        allowed = {len(args.runs), len(args.runs) * len(args.keys)}
        if len(args.legend) not in allowed:
            plot.error(
                f'--legend must give {" or ".join(map(str, sorted(allowed)))} '
                f'names. Received: {len(args.legend)}.'
            )
    if args.task == 'plot_curve':
        try:
            args.out = picture_name(args.out)
        except ValueError as error:
            plot.error(error)
    return args


def log_files(run):
    """The logs of a run, in the order in which they were written."""
    path = Path(run)
    if path.is_file():
        return [path]
    # One folder a start, named by its time.
    found = sorted(path.glob('*/vis_data/scalars.json'))
    found = found or sorted(path.glob('**/scalars.json'))
    if not found:
        raise ValueError(
            'a run is a scalars.json, or a work dir with one in '
            f'*/vis_data. Received: {run}.'
        )
    return found


def read_lines(path, last=0):
    """The lines of a log as dicts, each with the iteration it stands at.

    Lines of losses have an iteration of their own, those of validation and of
    chips stand where they were written. Of a start that ended before its first
    loss nobody can tell from where it went on: its lines stand at ``last``.
    """
    lines = path.read_text(errors='replace').splitlines()
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict) or 'step' not in entry:
                raise ValueError
        except ValueError:
            if number == len(lines) > 1:
                break  # a run that was killed while it wrote
            raise ValueError(
                f'{path}, line {number}, is not of a scalars.json. '
                f'Received: {line[:40]!r}.'
            ) from None
        entries.append(entry)
    iters = [entry['iter'] for entry in entries if 'iter' in entry]
    # Logged every few iterations, from the one at which the run goes on.
    here = last
    if iters:
        here = max(iters[0] - min(np.diff(iters[:3]), default=1), 0)
    placed = []
    for entry in entries:
        here = entry.get('iter', here)
        placed.append((here, entry))
    return placed


def read_run(run):
    """What a run logged: {kind: {key: {step: value}}}, {iteration: epoch}.

    Kinds are 'train', 'val' and 'chips'. What one start did after the
    checkpoint from which the next one goes on does not count.
    """
    joined = []
    for path in log_files(run):
        placed = read_lines(path, joined[-1][0] if joined else 0)
        if placed:
            start = placed[0][0]
            joined = [(at, e) for at, e in joined if at <= start] + placed
    curves = defaultdict(lambda: defaultdict(dict))
    epochs = {}
    for _, entry in joined:
        step = entry.pop('step')
        if 'iter' in entry:
            kind = 'train'
            epochs[entry.pop('iter')] = entry.pop('epoch', None)
        elif all(name.startswith('chips/') for name in entry):
            kind = 'chips'
        else:
            kind = 'val'
            # Seconds an image, by the names of seconds an iteration.
            entry = {k: v for k, v in entry.items() if k not in TIMES}
        for key, value in entry.items():
            if isinstance(value, (int, float)):
                curves[kind][key][step] = value
    return curves, epochs


def find_keys(run, curves, key):
    """Kind and name of all that a key stands for; 'chips' for its levels."""
    prefix = 'chips/level' if key == 'chips' else f'{key}/'
    names = [(kind, name) for kind in curves for name in curves[kind]]
    for found in (
        [n for n in names if n[1] == key],
        [n for n in names if n[1].endswith(f'/{key}')],
        [n for n in names if n[1].startswith(prefix)],
    ):
        if found:
            return found
    there = ', '.join(sorted({name for _, name in names})) or 'nothing'
    raise ValueError(
        f'--keys must be what {run} has logged, which is: {there}. '
        f'Received: {key}.'
    )


def name_of(args, run, key, found, name):
    """What a curve is called in the legend."""
    if args.legend and len(args.legend) > len(args.runs):
        given = args.legend[run * len(args.keys) + key]
        parts = [given, name if len(found) > 1 else '']
    elif args.legend:
        alone = len(found) == len(args.keys) == 1
        parts = [args.legend[run], '' if alone else name]
    else:
        parts = [args.runs[run] if len(args.runs) > 1 else '', name]
    return ' '.join(filter(None, parts))


def style_of(kind, name, run):
    """Of chips: a colour a level, dashes for negative ones."""
    if kind == 'train':
        return dict(linewidth=1)
    style = dict(marker='.')
    if name.startswith('chips/level'):
        level, _, sign = name.removeprefix('chips/level').partition('_')
        style['color'] = f'C{int(level)}'
        style['linestyle'] = '--' if sign == 'negative' else '-'
        style['marker'] = MARKERS[run % len(MARKERS)]
    return style


def panel_of(kind, name):
    """The panel of a curve, which holds numbers that can be compared."""
    if kind == 'train':
        if 'loss' in name:
            return 'loss'
        # Cascades and logs with hierarchy: s0.acc, train/data_time.
        name = re.split('[./]', name)[-1]
        return next((k for k in ('time', 'lr') if name.endswith(k)), name)
    if kind == 'chips':
        return 'chips' if name.startswith('chips/level') else name
    return name.rpartition('/')[0]


def plot_curve(args):
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    drawn = defaultdict(list)
    for r, run in enumerate(args.runs):
        curves, epochs = read_run(run)
        last_epoch = max(filter(None, epochs.values()), default=0)
        for k, key in enumerate(args.keys):
            found = find_keys(run, curves, key)
            for kind, name in found:
                points = sorted(curves[kind][name].items())
                # A loop without epochs validates by iteration.
                by_epoch = kind != 'train' and (
                    kind == 'chips' or points[-1][0] <= last_epoch
                )
                panel = (
                    kind,
                    panel_of(kind, name),
                    'epoch' if by_epoch else 'iteration',
                )
                label = name_of(args, r, k, found, name)
                drawn[panel].append((points, label, style_of(kind, name, r)))
    fig, axes = plt.subplots(
        len(drawn),
        1,
        figsize=(8, 3.2 * len(drawn) + 0.6),
        squeeze=False,
        layout='constrained',
    )
    for axis, ((kind, _, unit), lines) in zip(
        axes[:, 0], drawn.items(), strict=True
    ):
        for points, label, style in lines:
            axis.plot(*zip(*points, strict=True), label=label, **style)
        axis.set_xlabel(unit)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if kind == 'chips':
            # Clear of the frame, as much when every epoch has as many.
            top = max(value for points, *_ in lines for _, value in points)
            axis.set_ylim(0, 1.1 * top or 1)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    if args.title:
        fig.suptitle(args.title)
    write_whole(args.out, lambda part: fig.savefig(part, dpi=100))
    plt.close(fig)
    print(f'{sum(map(len, drawn.values()))} curves in {args.out}')


def cal_train_time(args):
    for run in args.runs:
        curves, epochs = read_run(run)
        # 'train/time' where the LogProcessor logs with hierarchy.
        names = [n for n in curves['train'] if n.split('/')[-1] == 'time']
        if not names:
            raise ValueError(
                'a run must have logged the time of iterations, which '
                f'IterTimerHook measures. Received: {run}.'
            )
        times = defaultdict(list)
        for step, value in sorted(curves['train'][names[0]].items()):
            times[epochs[step]].append(value)
        means = {
            epoch: np.mean(values[not args.include_outliers :] or values)
            for epoch, values in times.items()
        }
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
    dict(plot_curve=plot_curve, cal_train_time=cal_train_time)[args.task](args)


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'analyze_logs: {error}') from None
