"""Hide what a detector finds in photographs and videos: faces, or others.

    python tools/blur_faces.py INPUT CONFIG CHECKPOINT --out-dir DIR

Writes a copy of each picture to DIR, under its name, and DIR/hidden.json, a
list of what was hidden where. Photographs keep their format, EXIF, orientation
and colour profile, but no thumbnail. Videos lose their sound. No input is ever
written over. What the detector does not find stays as it is: look at the
copies before they are published.
"""

from pathlib import Path

import torch
from mmdet.apis import init_detector

from sniper_mmdet.apis import hide_objects, write_list
from sniper_mmdet.engine.checkpoints import read_weights, require_fit
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.images import WAYS
from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__)
    add = parser.add_argument
    add('input', help='an image, a video, or a folder of both')
    add('config', help='test config file path')
    add('checkpoint', help='checkpoint file')
    add('--out-dir', required=True, help='another folder than the input')
    cli.add_options(
        parser,
        way=('blur', 'how it is hidden', dict(choices=WAYS)),
        score_thr=(0.3, 'least score of what is hidden'),
        margin=(0.1, 'of its longer side, by which a box is enlarged'),
        hold=(3, 'frames of a video before and after, hidden in there, too'),
        list='where to write what was hidden, .json or .csv (default: '
        'hidden.json in --out-dir)',
        on_error=(
            'raise',
            'skip: leave out, and write no copy of, what cannot be read',
            dict(choices=['raise', 'skip']),
        ),
    )
    add(
        '--classes',
        nargs='+',
        default=[],
        metavar='NAME',
        help='of what is hidden (default: all classes of the detector)',
    )
    add('--device', default='cuda:0' if torch.cuda.is_available() else 'cpu')
    cli.add_cfg_options(parser)
    cli.add_trust(parser)
    args = cli.parse(parser)
    cli.require_at_least(parser, args, margin=0, hold=0)
    args.list = args.list or str(Path(args.out_dir, 'hidden.json'))
    known = Path(args.list).suffix.lower() in ('.csv', '.json')
    cli.require(parser, known, '--list must be .json or .csv', args.list)
    return args


def main():
    args = parse_args()
    for path in (args.input, args.config, args.checkpoint):
        if not Path(path).exists():
            raise FileNotFoundError(f'{path} does not exist.')
    prepare_cpu()
    options = dict(device=args.device, cfg_options=args.cfg_options or {})
    model = init_detector(args.config, args.checkpoint, **options)
    require_fit(model, read_weights(args.checkpoint), args.checkpoint)
    keys = 'way', 'classes', 'score_thr', 'margin', 'hold', 'on_error'
    settings = {key: getattr(args, key) for key in keys}
    results = list(hide_objects(model, args.input, args.out_dir, **settings))
    write_list(args.list, results)
    count = sum(len(result['objects']) for result in results)
    print(
        f'{count} objects are hidden in the copies in {args.out_dir}; '
        f'{args.list} lists them.'
    )


if __name__ == '__main__':
    cli.run(main)
