"""Compare a detector's outputs with those of the original network.

    python tools/model_converters/check_parity.py CONFIG CHECKPOINT \
        EXPECTED.npz

EXPECTED holds the original's inputs, ``data`` and ``rois`` (SSH has no
``rois``), and its outputs, ``out.NAME_output``; see
sniper_mmdet/released/outputs.py. An error is relative to the original's
number, or to the root mean square of the output where that is larger.
"""

import sys

import torch

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.engine.checkpoints import load_detector
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.released.outputs import compare_outputs
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__, cli.add_detector)
    parser.add_argument(
        'expected', help="file of the original's outputs (.npz)"
    )
    largest = (1e-4, 'largest relative error that passes')
    case = 'name of a case in a file of several, the start of its keys'
    cli.add_options(parser, tolerance=largest, case=case)
    args = cli.parse(parser)
    cfg = load_config(args.config, args.cfg_options)
    model = load_detector(cfg, args.checkpoint, PyramidDetector, strict=True)
    # TF32's own errors exceed the tolerance.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    wrong = []
    errors = compare_outputs(model, args.expected, case=args.case)
    for name, error in errors.items():
        is_number = isinstance(error, float)
        print(f'{name:22} {f"{error:.1e}" if is_number else error}')
        if not (is_number and error <= args.tolerance):
            wrong.append(name)
    if wrong:
        sys.exit(f'beyond {args.tolerance:g}: {", ".join(wrong)}')
    print(f'all within {args.tolerance:g}')


if __name__ == '__main__':
    cli.run(main)
