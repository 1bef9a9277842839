"""Teach a detector new classes from pictures without boxes, in seconds.

    python tools/teach.py CONFIG CHECKPOINT FOLDER --out NEW.pth

FOLDER has a folder of pictures for each new class, FOLDER/CLASS/*.jpg; each
shows an object of the class. CONFIG is that of a detector with a
sniper_mmdet.DecoupledBBoxHead, see configs/decoupled. NEW.pth and NEW.py,
which is written beside it, find the new classes beside the old ones: with
tools/image_demo.py, tools/test.py and MMDetection's own, as any others do.
"""

from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_json)
    add = parser.add_argument
    add('folder', metavar='FOLDER', help='pictures in folders by class')
    add('--out', required=True, help='checkpoint to write, .pth')
    add('--classes', nargs='+', help='folders to learn; default: all')
    about = 'find the new classes instead of the old ones'
    add('--instead', action='store_true', help=about)
    about = 'COCO file to test on: the classes get its order'
    add('--ann', help=about)
    choices = ['lbfgs', 'released']
    solver = "released: the original's SGD, of the new classes alone; needs "
    solver += '--instead'
    rois = 'the RoIs of a picture that are most likely objects, or all of it'
    error = 'skip: leave out pictures that cannot be read'
    cli.add_options(
        parser,
        solver=('lbfgs', solver, dict(choices=choices)),
        rois=('objects', rois, dict(choices=['objects', 'whole'])),
        num_rois=(4, 'RoIs of a picture'),
        l2=(0.001, 'of lbfgs: penalty on weights'),
        lr=(0.001, 'of released, as the next three'),
        momentum=(0.9, 'of SGD'),
        batch_size=(100, 'of SGD'),
        epochs=(250, 'of SGD'),
        seed=(0, 'of what is drawn'),
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
        f'{len(taught.pictures)} classes of {count} pictures in '
        f'{taught.seconds:.1f} s; of pictures held out '
        f'{taught.accuracy:.0%} are named rightly.'
    )
    print(f'{taught.config} finds {len(taught.classes)} classes.')


if __name__ == '__main__':
    cli.run(main)
