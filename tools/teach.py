"""Add new classes to a detector from images without boxes, in seconds.

    python tools/teach.py CONFIG CHECKPOINT FOLDER --out NEW.pth

FOLDER has one folder of images per new class, FOLDER/CLASS/*.jpg; each image
shows an object of the class. CONFIG needs a sniper_mmdet.DecoupledBBoxHead,
see configs/decoupled. The tool writes the checkpoint NEW.pth and, beside it,
the config NEW.py. They detect the old classes and the new ones, with
tools/image_demo.py, tools/test.py and MMDetection's own tools.
"""

from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_json)
    add = parser.add_argument
    add(
        'folder',
        metavar='FOLDER',
        help='folder of images, in one folder per class',
    )
    add('--out', required=True, help='.pth file of the new checkpoint')
    add('--classes', nargs='+', help='folders to use; default: all')
    about = 'detect the new classes instead of the old ones'
    add('--instead', action='store_true', help=about)
    about = 'COCO file to test on, which gives the order of the classes'
    add('--ann', help=about)
    choices = ['lbfgs', 'released']
    solver = "optimiser; released: the original's SGD, on the new classes "
    solver += 'alone, which needs --instead'
    rois = 'RoIs: those that are most likely objects, or the whole image'
    error = 'skip: leave out images that cannot be read'
    cli.add_options(
        parser,
        solver=('lbfgs', solver, dict(choices=choices)),
        rois=('objects', rois, dict(choices=['objects', 'whole'])),
        num_rois=(4, 'RoIs per image'),
        l2=(0.001, 'L2 penalty on the weights, for lbfgs'),
        lr=(0.001, 'learning rate, for released'),
        momentum=(0.9, 'momentum, for released'),
        batch_size=(100, 'samples per batch, for released'),
        epochs=(250, 'epochs, for released'),
        seed=(0, 'random seed'),
        on_error=('raise', error, dict(choices=['raise', 'skip'])),
    )
    args = cli.parse(parser)
    counts = dict.fromkeys(('num_rois', 'batch_size', 'epochs'), 1)
    cli.require_at_least(parser, args, l2=0, lr=0, momentum=0, **counts)
    return args


def main():
    args = vars(parse_args())
    as_json = args.pop('json')
    with cli.quiet():
        from sniper_mmdet.apis import teach
        from sniper_mmdet.engine.cpu import prepare_cpu

        prepare_cpu()
        taught = teach(ann_file=args.pop('ann'), **args)
    if as_json:
        result = taught._asdict()
        for name in ('config', 'checkpoint'):
            result[name] = str(result[name])
        cli.print_json(result)
        return
    count = sum(taught.pictures.values())
    print(
        f'learned from {count} images in {taught.seconds:.1f} s: '
        f'{", ".join(taught.pictures)}'
    )
    print(
        f'Of images that were held out, {taught.accuracy:.0%} got the right '
        'one of all classes, the old ones included.'
    )
    print(
        f'It detects {len(taught.classes)} class(es): tools/image_demo.py '
        f'IMAGE {taught.config} {taught.checkpoint} --out-dir DIR'
    )


if __name__ == '__main__':
    cli.run(main)
