"""Turn a .params file of the original SNIPER into a checkpoint of a config.

    python tools/model_converters/mxnet_to_mmdet.py SNIPER-0007.params \
        sniper.pth --config \
        configs/sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco.py

Files of detectors must fit the config's detector tensor by tensor. Files of
the classification networks that detectors start from give their backbone.
MXNet is not needed.
"""

import argparse
import os
import re
import sys

import torch
from mmdet.registry import DATASETS
from mmengine.config import Config, DictAction

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.registry import MODELS
from sniper_mmdet.released.mxnet_params import read_params
from sniper_mmdet.released.weights import (
    Conversion,
    MismatchError,
    convert,
)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('params', help='the .params file')
    parser.add_argument('out', help='checkpoint file to write (.pth)')
    parser.add_argument(
        '--config', required=True, help='config of the detector'
    )
    parser.add_argument(
        '--ignore',
        nargs='+',
        default=[],
        metavar='REGEX',
        help='names of tensors, of the file or of the detector, that may go '
        "without a counterpart, e.g. 'conv_new_(2|3|out)_.*' for the weights "
        'of an AutoFocus file in a SNIPER config',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    args = parser.parse_args()
    for pattern in args.ignore:
        try:
            re.compile(pattern)
        except re.error as error:
            parser.error(
                f'--ignore takes regular expressions ({error}). '
                f'Received: {pattern}.'
            )
    if not args.out.endswith('.pth'):
        parser.error(f'OUT must be a .pth file. Received: {args.out}.')
    return args


def dataset_meta(cfg: Config) -> dict:
    """Classes and colours, which mmdet's inference looks for in a file."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while 'dataset' in dataset or 'datasets' in dataset:
        dataset = dataset.get('dataset') or dataset.datasets[0]
    kind = DATASETS.get(dataset.get('type', ''))
    meta = getattr(kind, 'METAINFO', {})
    return {**meta, **(dataset.get('metainfo') or {})}


def report(done: Conversion) -> None:
    for name, target in done.mapped.items():
        shape = tuple(done.state[target].shape)
        print(f'mapped   {name} -> {target} {shape}')
    for name in done.unused:
        print(f'unused   {name}')
    for target in done.missing:
        print(f'missing  {target}')
    print(
        f'{len(done.mapped)} tensors mapped, {len(done.unused)} unused, '
        f'{len(done.missing)} missing.'
    )


def main():
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    params = read_params(args.params)
    shapes = {
        name: value.shape
        for name, value in MODELS.build(cfg.model).state_dict().items()
    }
    try:
        done = convert(params, shapes, args.ignore)
    except ValueError as error:
        if isinstance(error, MismatchError):
            report(error.conversion)
        raise ValueError(
            f'{args.params} does not fit {args.config}: {error} Is it '
            'another network? Otherwise --ignore names what may be left out.'
        ) from None
    report(done)
    checkpoint = dict(
        meta=dict(
            source=os.path.basename(args.params),
            dataset_meta=dataset_meta(cfg),
        ),
        state_dict={k: torch.from_numpy(v) for k, v in done.state.items()},
    )
    os.makedirs(os.path.dirname(args.out) or '.', exist_ok=True)
    torch.save(checkpoint, f'{args.out}.part')
    os.replace(f'{args.out}.part', args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
