"""Hide faces, or other objects, in photographs and videos.

    python tools/blur_faces.py INPUT CONFIG CHECKPOINT --out-dir DIR

The detector of CONFIG finds the objects. The tool writes a copy of each image
or video to DIR, under its name, and DIR/hidden.json, which lists the hidden
objects and their boxes. Photographs keep their format, EXIF, orientation and
colour profile, but no thumbnail. Videos lose their sound. The tool never
overwrites an input. An object that the detector misses stays visible: check
the copies before you publish them.
"""

from pathlib import Path

import torch

from sniper_mmdet.apis import hide_objects, write_list
from sniper_mmdet.apis.loading import load_trained
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.images import WAYS
from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__)
    add = parser.add_argument
    add('input', help='an image, a video, or a folder of both')
    add('config', help='test config file path')
    add('checkpoint', help='checkpoint file')
    add(
        '--out-dir',
        required=True,
        help='folder for the copies, not that of the input',
    )
    cli.add_options(
        parser,
        way=('blur', 'how objects are hidden', dict(choices=WAYS)),
        score_thr=(0.3, 'least score of the detections that are hidden'),
        margin=(0.1, 'enlargement of a box, as a share of its longer side'),
        hold=(
            3,
            'video frames before and after in which a box is hidden, too',
        ),
        list='.json or .csv file for the list of hidden objects (default: '
        'hidden.json in --out-dir)',
        on_error=(
            'raise',
            'skip: leave out files that cannot be read, without a copy',
            dict(choices=['raise', 'skip']),
        ),
    )
    add(
        '--classes',
        nargs='+',
        default=[],
        metavar='NAME',
        help='classes to hide (default: all classes of the detector)',
    )
    add('--device', default='cuda:0' if torch.cuda.is_available() else 'cpu')
    cli.add_cfg_options(parser)
    cli.add_trust(parser)
    args = cli.parse(parser)
    cli.require_at_least(parser, args, margin=0, hold=0)
    cli.require_shares(parser, args, 'score_thr')
    args.list = args.list or str(Path(args.out_dir, 'hidden.json'))
    known = Path(args.list).suffix.lower() in ('.csv', '.json')
    cli.require(parser, known, '--list must be .json or .csv', args.list)
    return args


def main():
    args = parse_args()
    if not Path(args.input).exists():
        raise FileNotFoundError(f'{args.input} does not exist.')
    prepare_cpu()
    options = args.device, args.cfg_options
    model = load_trained(args.config, args.checkpoint, *options)
    keys = 'way', 'classes', 'score_thr', 'margin', 'hold', 'on_error'
    settings = {key: getattr(args, key) for key in keys}
    hidden = hide_objects(model, args.input, args.out_dir, **settings)
    results = []
    try:
        for result in hidden:
            results.append(result)
    finally:  # copies that are written are listed, whatever comes after them
        write_list(args.list, results)
    count = sum(len(result['objects']) for result in results)
    print(
        f'{count} objects are hidden in the copies in {args.out_dir}; '
        f'{args.list} lists them.'
    )


if __name__ == '__main__':
    cli.run(main)
