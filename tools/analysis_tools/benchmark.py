"""Measure the parts of the package, each against a named peer.

python tools/analysis_tools/benchmark.py chips --ann instances.json --json
python tools/analysis_tools/benchmark.py negatives --images 1000 100000
python tools/analysis_tools/benchmark.py pipeline CONFIG
python tools/analysis_tools/benchmark.py inference CONFIG CHECKPOINT
python tools/analysis_tools/benchmark.py train CONFIG --batch 1 4 16
"""

from itertools import zip_longest

from sniper_mmdet.utils import cli

#: Of the table of train: what its numbers look like.
COLUMNS = {
    's/chip': '.4f',
    **dict.fromkeys(('MB/chip', 'MB'), '.1f'),
    **dict.fromkeys(
        ('proposals', 'targets', 'sampling', 'not network'), '.3f'
    ),
}


def chips(args):
    from sniper_mmdet.benchmark.mining import benchmark_chips

    return benchmark_chips(args.ann, args.seed)


def negatives(args):
    from sniper_mmdet.benchmark.mining import benchmark_negatives

    return benchmark_negatives(args.images, args.proposals, args.dir)


def pipeline(args):
    from sniper_mmdet.benchmark.pipeline import benchmark_pipeline
    from sniper_mmdet.engine.build import load_config

    cfg = load_config(args.config, args.cfg_options)
    return benchmark_pipeline(cfg, args.samples, args.repeats, args.seed)


def inference(args):
    from sniper_mmdet.benchmark.inference import benchmark_inference
    from sniper_mmdet.engine.build import load_config
    from sniper_mmdet.engine.cpu import prepare_cpu

    cfg = load_config(args.config, args.cfg_options)
    prepare_cpu()
    return benchmark_inference(cfg, args.checkpoint, args.num)


def train(args):
    from sniper_mmdet.benchmark.training import Steps, benchmark_train

    steps = Steps(
        *(args.config, args.cfg_options, args.iters, args.warmup, args.seed),
        args.checkpoint,
    )
    return benchmark_train(steps, args.batch, args.random)


def parse_args():
    parser = cli.make_parser(__doc__)
    commands = parser.add_subparsers(dest='command', required=True)

    def add(run, about, config=None):
        command = commands.add_parser(run.__name__, help=about)
        command.set_defaults(run=run)
        cli.add_json(command)
        command.add_argument('--seed', type=int, default=0)
        if config:
            cli.add_cfg_options(command)
            command.add_argument('config', help=config)
        return command

    command = add(chips, 'mining, against the original C++')
    command.add_argument('--ann', required=True, help='COCO json')
    command = add(
        negatives,
        'mining negative chips from a mapped file of random proposals: time '
        'and memory by number of images',
    )
    command.add_argument(
        '--images', type=int, nargs='+', default=[1000, 10000, 100000]
    )
    command.add_argument('--proposals', type=int, default=900)
    command.add_argument(
        '--dir', help='for the file: 60 KB an image while it is written'
    )
    command = add(
        pipeline,
        "a worker's samples a second, against mmdet's multi-scale pipeline on "
        'the same images',
        'train config file path',
    )
    command.add_argument('--samples', type=int, default=200)
    command.add_argument('--repeats', type=int, default=3)
    command = add(
        inference,
        'the bare detector at each level, the pyramid and AutoFocus, on the '
        'same images',
        'config of an AutoFocus detector',
    )
    command.add_argument('checkpoint')
    command.add_argument(
        '--num', type=int, default=0, help='images; 0 for all'
    )
    command = add(
        train,
        'seconds and peak memory a chip of steps of training, and the share '
        'that is not the network',
        'train config file path',
    )
    command.add_argument(
        '--batch',
        type=int,
        nargs='+',
        default=[1, 4, 16],
        help='chips a step, each number in a process of its own',
    )
    command.add_argument('--iters', type=int, default=5, help='steps timed')
    command.add_argument('--warmup', type=int, default=2, help='steps before')
    command.add_argument(
        '--random',
        action='store_true',
        help="noise with random boxes, of the config's chip_size, where its "
        'data set is not there',
    )
    command.add_argument(
        '--checkpoint', help='weights; defaults to random ones'
    )
    args = cli.parse(parser)
    if args.run is negatives:
        cli.require_at_least(parser, args, images=1)
    elif args.run is train:
        cli.require_at_least(parser, args, batch=1, iters=1, warmup=0)
    return args


def print_steps(result):
    """What was measured on, and a row a batch."""
    rows = []
    for batch, *values in (row.values() for row in result.pop('batches')):
        known = ('-' if value is None else value for value in values)
        # One that failed has its error instead.
        row = dict(zip_longest(COLUMNS, known, fillvalue=''))
        rows.append((str(batch), row))
    for key, value in result.items():
        print(f'{key:10}{value}')
    print()
    cli.print_table(rows, COLUMNS, 'batch')


def main():
    args = parse_args()
    with cli.quiet():
        result = args.run(args)
    if args.json:
        cli.print_json(result)
    elif args.run is train:
        print_steps(result)
    else:
        for key, value in result.items():
            print(f'{key:40} {value:.4g}')


if __name__ == '__main__':
    cli.run(main)
