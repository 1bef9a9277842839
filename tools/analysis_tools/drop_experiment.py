"""Train on data sets with dropped labels by several methods, and compare.

    python tools/analysis_tools/drop_experiment.py DATA_ROOT \
        --sets bccd deeppcb --seeds 0 1 2 --out-dir DIR

A set is a folder DATA_ROOT/NAME with train.json, val.json and images/, or with
VOC2007/. The tool drops a share of its training boxes and trains a detector on
the rest in four ways: plain; with Soft Sampling by overlap; with Soft Sampling
by the scores of the plain detector; and, as the upper bound, with the regions
of the dropped boxes ignored. The test uses all boxes of val.json. After an
interruption the same command continues, without repeating finished runs.
"""

from pathlib import Path

from sniper_mmdet.benchmark.drop_runs import WAYS, runs_of, summary
from sniper_mmdet.utils import cli

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'faster-rcnn_r18-slim_fpn_soft-sampling_9e_deeppcb.py'


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_json)
    add = parser.add_argument
    add('data_root', help='folder that holds the sets')
    add('--sets', nargs='+', required=True, metavar='NAME')
    add(
        '--out-dir',
        required=True,
        metavar='DIR',
        help='folder for the results of all runs',
    )
    default = str(ROOT / 'configs/soft_sampling' / CONFIG)
    told = f'config with a SoftSamplingRoIHead (default: {CONFIG})'
    add('--config', default=default, help=told)
    cli.add_options(
        parser,
        drop=([0.0, 0.3, 0.5, 0.7], 'shares of the training boxes to drop'),
        seeds=([0, 1, 2], 'random seeds of the dropped boxes and of training'),
        ways=(list(WAYS), 'training methods', dict(choices=WAYS)),
        iters=(1500, 'training iterations of each run'),
        side=(320, 'upper bound of the shorter side of images in pixels'),
        batch_size=(4, 'images per iteration'),
        score_thr=(0.4, 'score threshold of the detections for F1'),
        num_workers=(1, 'worker processes that load images'),
        table=(False, 'print the table of the finished runs and stop'),
    )
    cli.add_cfg_options(parser)
    args = cli.parse(parser)
    cli.require_at_least(parser, args, iters=1, side=32, batch_size=1)
    cli.require_at_least(parser, args, seeds=0, drop=0, num_workers=0)
    cli.require_shares(parser, args, 'score_thr')
    rule = '--drop must be below 1'
    cli.require(parser, max(args.drop) < 1, rule, args.drop)
    return args


def main():
    args = parse_args()
    with cli.quiet():  # imports and runs print
        from mmengine.registry import init_default_scope

        from sniper_mmdet.benchmark.drop_experiment import DropExperiment
        from sniper_mmdet.benchmark.drop_sets import DropSet
        from sniper_mmdet.engine.cpu import prepare_cpu

        prepare_cpu()
        init_default_scope('mmdet')
        out, root = Path(args.out_dir).absolute(), Path(args.data_root)
        runs = list(runs_of(args.sets, args.drop, args.seeds, args.ways))
        sets = {
            name: DropSet((root / name).absolute(), out / name)
            for name in args.sets
        }
        how = args.iters, args.side, args.batch_size, args.score_thr
        how = *how, args.num_workers, args.cfg_options
        experiment = DropExperiment(args.config, sets, out, *how)
        done = [
            (run, experiment.run(run))
            for run in runs
            if not args.table or (out / run.folder / 'result.json').is_file()
        ]
    if not done:
        raise ValueError(f'no run is done in {out}.')
    cli.print_table(summary(done), corner='set', as_json=args.json)
    if not args.json:
        print('mean ± standard deviation over the seeds')


if __name__ == '__main__':
    cli.run(main)
