"""Measure the speed and memory of parts of the package beside a peer.

python tools/analysis_tools/benchmark.py chips --ann instances.json --json
python tools/analysis_tools/benchmark.py negatives --images 1000 100000
python tools/analysis_tools/benchmark.py pipeline CONFIG
python tools/analysis_tools/benchmark.py large_images --size 4000 3000
python tools/analysis_tools/benchmark.py inference CONFIG CHECKPOINT
python tools/analysis_tools/benchmark.py memory CONFIG --side 20000
python tools/analysis_tools/benchmark.py train CONFIG --batch 1 4 16
python tools/analysis_tools/benchmark.py wider --images 3226
python tools/analysis_tools/benchmark.py openimages --rows 14600000
python tools/analysis_tools/benchmark.py many_classes --classes 10 3130
"""

from itertools import zip_longest

from sniper_mmdet.utils import cli

SHARES = 'proposals', 'targets', 'sampling', 'not network'
#: Number formats of the table of ``train``, by column.
COLUMNS = {'s/chip': '.4f', 'MB/chip': '.1f', 'MB': '.1f'}
COLUMNS.update(dict.fromkeys(SHARES, '.3f'))


def chips(args):
    """Chip mining, beside the original C++ code."""
    from sniper_mmdet.benchmark.mining import benchmark_chips

    return benchmark_chips(args.ann, args.seed)


def negatives(args):
    """Mining of negative chips from a mapped file, by number of images."""
    from sniper_mmdet.benchmark.mining import benchmark_negatives

    return benchmark_negatives(args.images, args.proposals, args.dir)


def pipeline(args):
    """Samples per second and worker, beside mmdet's multi-scale pipeline."""
    from sniper_mmdet.benchmark.pipeline import benchmark_pipeline
    from sniper_mmdet.engine.build import load_config

    cfg = load_config(args.config, args.cfg_options)
    return benchmark_pipeline(cfg, args.samples, args.repeats, args.seed)


def large_images(args):
    """Chips per second and worker, from large JPEGs and from tiled TIFFs."""
    from sniper_mmdet.benchmark.large_images import benchmark_large_images
    from sniper_mmdet.engine.cpu import prepare_cpu

    prepare_cpu()  # as tools/train.py does before its workers start
    how = args.images, args.samples, args.repeats, args.seed
    return benchmark_large_images(tuple(args.size), *how)


def inference(args):
    """Inference: the bare detector at each level, the pyramid, AutoFocus."""
    from sniper_mmdet.benchmark.inference import benchmark_inference
    from sniper_mmdet.engine.build import load_config
    from sniper_mmdet.engine.cpu import prepare_cpu

    cfg = load_config(args.config, args.cfg_options)
    prepare_cpu()
    return benchmark_inference(cfg, args.checkpoint, args.num)


def memory(args):
    """Peak memory of inference on a large image, beside that of one batch."""
    from sniper_mmdet.benchmark.memory import benchmark_memory
    from sniper_mmdet.engine.build import load_config
    from sniper_mmdet.engine.cpu import prepare_cpu

    cfg = load_config(args.config, args.cfg_options)
    prepare_cpu()
    return benchmark_memory(cfg, args.side, args.checkpoint)


def train(args):
    """Training steps: seconds and memory per chip, shares of their parts."""
    from sniper_mmdet.benchmark.training import Steps, benchmark_train

    steps = Steps(*(getattr(args, name) for name in Steps._fields))
    return benchmark_train(steps, args.batch, args.random)


def wider(args):
    """WIDER FACE's evaluation, beside a plain loop."""
    from sniper_mmdet.benchmark.face_evaluation import benchmark_wider

    return benchmark_wider(args.images, args.detections, args.seed)


def openimages(args):
    """Seconds and memory from OpenImages' csv files to the first chips."""
    from sniper_mmdet.benchmark.openimages import benchmark_openimages

    return benchmark_openimages(args.rows, args.seed, args.dir)


def many_classes(args):
    """Box heads by their number of classes, decoupled and plain."""
    from sniper_mmdet.benchmark.many_classes import benchmark_many_classes
    from sniper_mmdet.engine.cpu import prepare_cpu

    prepare_cpu()
    rois = args.train_rois, args.test_rois
    return benchmark_many_classes(args.classes, *rois, args.repeats, args.seed)


def parse_args():
    parser = cli.make_parser(__doc__)
    commands = parser.add_subparsers(dest='command', required=True)

    def command_of(run, *adders):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument('--seed', type=int, default=0)
        for add in (cli.add_json, *adders):
            add(command)
        return command.add_argument

    add = command_of(chips)
    add('--ann', required=True, help='COCO json')
    add = command_of(negatives)
    add('--images', type=int, nargs='+', default=[1000, 10000, 100000])
    add('--proposals', type=int, default=900)
    add('--dir', help='folder for the file; it needs 60 KB per image')
    add = command_of(pipeline, cli.add_config)
    add('--samples', type=int, default=200)
    add('--repeats', type=int, default=3)
    add = command_of(large_images)
    size = 'width and height of the images'
    add('--size', type=int, nargs=2, default=[4000, 3000], help=size)
    add('--images', type=int, default=8)
    add('--samples', type=int, default=200)
    add('--repeats', type=int, default=3)
    add = command_of(inference, cli.add_detector)
    add('--num', type=int, default=0, help='images; 0 for all')
    add = command_of(memory, cli.add_config, cli.add_trust)
    add('--side', type=int, default=20000, help='sides of the image in pixels')
    add('--checkpoint', help='checkpoint file; default: random weights')
    add = command_of(train, cli.add_config, cli.add_trust)
    batch = 'chips per step; each number runs in a process of its own'
    add('--batch', type=int, nargs='+', default=[1, 4, 16], help=batch)
    add('--iters', type=int, default=5, help='number of timed steps')
    add('--warmup', type=int, default=2, help='number of steps before those')
    noise = "use random chips of the config's size instead of its data set"
    add('--random', action='store_true', help=noise)
    add('--checkpoint', help='checkpoint file; default: random weights')
    add = command_of(wider)
    add('--images', type=int, default=3226)
    add('--detections', type=int, default=310, help='detections per image')
    add = command_of(openimages)
    add('--rows', type=int, default=1000000, help='boxes; V4: 14,600,000')
    add('--dir', help='folder for the files: 0.1 KB per box, a file per image')
    add = command_of(many_classes)
    counts = [10, 100, 1000, 3130, 10000]
    add('--classes', type=int, nargs='+', default=counts)
    add('--train-rois', type=int, default=512, help='RoIs per training step')
    add('--test-rois', type=int, default=1000, help='RoIs per test image')
    add('--repeats', type=int, default=5)
    args = cli.parse(parser)
    if args.run is openimages:
        cli.require_at_least(parser, args, rows=1)
    elif args.run is negatives:
        cli.require_at_least(parser, args, images=1)
    elif args.run is wider:
        cli.require_at_least(parser, args, images=1, detections=1)
    elif args.run is large_images:
        counts = dict.fromkeys(('images', 'samples', 'repeats'), 1)
        cli.require_at_least(parser, args, **counts)
    elif args.run is many_classes:
        least = dict.fromkeys(('classes', 'test_rois', 'repeats'), 1)
        cli.require_at_least(parser, args, train_rois=4, **least)
    elif args.run is memory:
        cli.require_at_least(parser, args, side=1)
    elif args.run is train:
        cli.require_at_least(parser, args, batch=1, iters=1, warmup=0)
    return args


def print_steps(result):
    """Print what the steps ran on, and a row per batch size."""
    rows = []
    for batch, *values in (row.values() for row in result.pop('batches')):
        known = ('-' if value is None else value for value in values)
        # A batch size that failed has its error instead.
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
    elif args.run is many_classes:
        formats = dict.fromkeys(next(iter(result.values())), '.1f')
        formats |= dict(step_s='.3f', image_s='.3f', step_x='.2f')
        cli.print_table(result, formats | dict(image_x='.2f'), 'classes')
    else:
        for key, value in result.items():
            print(f'{key:40} {value:.4g}')


if __name__ == '__main__':
    cli.run(main)
