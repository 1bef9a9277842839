"""Convert a file of the original weights to a checkpoint of a config.

    python tools/model_converters/mxnet_to_mmdet.py SNIPER-0007.params \
        sniper.pth --config \
        configs/sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco.py
    python tools/model_converters/mxnet_to_mmdet.py SSH.caffemodel ssh.pth \
        --config configs/ssh/ssh_vgg16_13e_wider-face.py

A file of a detector must fit the config's detector tensor by tensor. A file of
a classification network, from which detectors start, gives the backbone. The
tool needs neither MXNet nor Caffe.
"""

import re

from sniper_mmdet.released.conversion import convert_file
from sniper_mmdet.released.weights import MismatchError
from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_cfg_options)
    add = parser.add_argument
    add('params', help='.params file, or .caffemodel file of SSH')
    add('out', help='checkpoint file to write (.pth)')
    add('--config', required=True, help='config of the detector')
    names = 'names of tensors, of the file or of the detector, that may have '
    names += "no counterpart, e.g. 'conv_new_(2|3|out)_.*' for the weights "
    names += 'of an AutoFocus file in a SNIPER config'
    shift = 'assign output c to class c + 1, for a file of R-FCN-3000 that '
    shift += "was trained with the original's shift of classes"
    add('--class-shift', action='store_true', help=shift)
    add('--ignore', nargs='+', default=[], metavar='REGEX', help=names)
    args = cli.parse(parser)
    try:
        list(map(re.compile, args.ignore))
    except re.error as error:
        rule = f'--ignore takes regular expressions ({error})'
        parser.error(f'{rule}. Received: {error.pattern}.')
    if not args.out.endswith('.pth'):
        parser.error(f'OUT must be a .pth file. Received: {args.out}.')
    return args


def main():
    args = parse_args()
    settings = args.config, args.cfg_options, args.ignore
    try:
        done = convert_file(
            args.params, args.out, *settings, class_shift=args.class_shift
        )
    except MismatchError as error:
        print(error.conversion)
        raise
    print(f'{done}\nwrote {args.out}')


if __name__ == '__main__':
    cli.run(main)
