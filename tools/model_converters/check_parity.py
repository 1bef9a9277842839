"""Compare a detector's outputs with those of the original network.

    python tools/model_converters/check_parity.py CONFIG CHECKPOINT \
        EXPECTED.npz

EXPECTED holds ``data`` and ``rois``, what entered the original, and what came
out of it, ``out.NAME_output``; see sniper_mmdet/released/outputs.py. An error
is relative to the original's number, or to the root mean square of its output
where that is larger.
"""

import argparse
import pickle
import sys
import zipfile

import numpy as np
import torch
from mmengine.config import DictAction
from mmengine.device import get_device
from mmengine.runner import load_checkpoint

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.registry import MODELS
from sniper_mmdet.released.outputs import released_outputs


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config of the detector')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('expected', help="the original's outputs (.npz)")
    parser.add_argument(
        '--tolerance',
        type=float,
        default=1e-4,
        help='largest relative error that is right (default: 1e-4)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    return parser.parse_args()


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest of all cells."""
    size = np.sqrt((expected.astype(np.float64) ** 2).mean())
    return float(
        (np.abs(found - expected) / np.maximum(np.abs(expected), size)).max()
    )


def read_outputs(path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            expected = dict(file)
    except (ValueError, TypeError, zipfile.BadZipFile):
        raise ValueError(f'{path} is no .npz of arrays.') from None
    if not {'data', 'rois'} <= set(expected):
        raise ValueError(
            f'{path} must hold data, rois and outputs. '
            f'Received: {sorted(expected)}.'
        )
    return expected


def main():
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    model = MODELS.build(cfg.model)
    try:
        load_checkpoint(
            model, args.checkpoint, map_location='cpu', strict=True
        )
    except (RuntimeError, pickle.UnpicklingError) as error:
        text = ' '.join(str(error).split())
        raise ValueError(
            f'{args.checkpoint} is no checkpoint of {args.config}: '
            f'{text[:300]}'
        ) from None
    model.to(get_device()).eval()
    # Its errors are larger than what is to be seen.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    expected = read_outputs(args.expected)
    found = released_outputs(model, expected.pop('data'), expected.pop('rois'))
    wrong = []
    for key, values in expected.items():
        name = key.removeprefix('out.').removesuffix('_output')
        if name not in found or found[name].shape != values.shape:
            shape = found[name].shape if name in found else 'nothing'
            print(f'{name:22} {values.shape} expected, found {shape}')
            wrong.append(name)
            continue
        error = relative_error(found[name], values)
        print(f'{name:22} {error:.1e}')
        if not error <= args.tolerance:
            wrong.append(name)
    if wrong:
        sys.exit(f'beyond {args.tolerance:g}: {", ".join(wrong)}')
    print(f'all within {args.tolerance:g}')


if __name__ == '__main__':
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
