"""Fetch what was released with SNIPER and AutoFocus, and convert it.

    python tools/download_weights.py detectors    # output/**/*.pth
    python tools/download_weights.py pretrained   # data/pretrained_model/*.pth
    python tools/download_weights.py proposals    # data/proposals/*.pkl

From the authors' links. What an interrupted download left is kept, and the
rest is fetched by the next call; an archive that is there already, also one
that you put there, is not fetched again. Which config a network belongs to is
told by its tensors.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from sniper_mmdet.released.archives import fetch, sha256, unpack
from sniper_mmdet.released.mxnet_params import read_params

ROOT = Path(__file__).resolve().parents[1]
#: By name: the link, the archive, and the folder that it is unpacked in.
#: Of none a checksum is known.
ARCHIVES = dict(
    detectors=('https://bit.ly/3j6mAXJ', 'sniper_models.tar.gz', 'output'),
    pretrained=('https://bit.ly/2WgSJ6b', 'pretrained_model.tar.gz', 'data'),
    proposals=('https://bit.ly/3j8SOl7', 'proposals.tar.gz', 'data'),
)
#: Where configs look for the networks that training starts from.
PRETRAINED = 'data/pretrained_model'
#: Of a detector by backbone, rows of its classifier and further heads; of a
#: classification network by backbone. Released COCO detectors of SNIPER were
#: trained on train2014 and val2014.
CONFIGS = {
    ('R-101',): 'sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco',
    ('R-50',): 'sniper/faster-rcnn_r50-dcn_c4c5_sniper_7e_coco',
    ('MobileNetV2',): 'sniper/faster-rcnn_mobilenetv2_sniper_7e_coco',
    ('R-101', 81): 'sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco-trainval',
    ('R-101', 21): 'sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_voc0712',
    ('R-101', 81, 'mask'): 'sniper/mask-rcnn_r101-dcn_c4c5_sniper_7e_coco',
    ('R-50', 81): 'sniper/faster-rcnn_r50-dcn_c4c5_sniper_7e_coco',
    ('MobileNetV2', 81): 'sniper/faster-rcnn_mobilenetv2_sniper_7e_coco',
    ('R-101', 81, 'focus'): (
        'autofocus/faster-rcnn_r101-dcn_c4c5_autofocus_7e_coco'
    ),
    ('R-101', 21, 'focus'): (
        'autofocus/faster-rcnn_r101-dcn_c4c5_autofocus_7e_voc0712'
    ),
    ('R-101', 81, 'mask', 'focus'): (
        'autofocus/mask-rcnn_r101-dcn_c4c5_autofocus_7e_coco'
    ),
    ('R-50', 81, 'focus'): (
        'autofocus/faster-rcnn_r50-dcn_c4c5_autofocus_7e_coco'
    ),
    ('MobileNetV2', 81, 'focus'): (
        'autofocus/faster-rcnn_mobilenetv2_autofocus_7e_coco'
    ),
}


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('what', choices=ARCHIVES, help='archive to fetch')
    parser.add_argument(
        '--dest',
        type=Path,
        default=Path(),
        help='folder to unpack in; configs look for data/pretrained_model '
        'where they are run (default: the current folder)',
    )
    parser.add_argument('--url', help="instead of the authors' link")
    parser.add_argument(
        '--sha256', help='what the digest of the archive must be'
    )
    parser.add_argument(
        '--no-convert',
        action='store_true',
        help='leave the .params files as they are',
    )
    args = parser.parse_args()
    if args.url and not re.match('https?://', args.url):
        parser.error(f'--url must be of http or https. Received: {args.url}.')
    if args.sha256 and not re.fullmatch('[0-9a-fA-F]{64}', args.sha256):
        parser.error(
            f'--sha256 must be 64 hexadecimal digits. Received: {args.sha256}.'
        )
    return args


def config_of(shapes: dict[str, tuple]) -> str:
    """The config that a released network belongs to.

    Args:
        shapes (dict[str, tuple]): Of its tensors, by the file's names.

    Returns:
        str: Path from the folder of this package.

    Raises:
        ValueError: It belongs to none.
    """
    shapes = {name.split(':', 1)[-1]: shape for name, shape in shapes.items()}
    if any(name.startswith('first-3x3-conv') for name in shapes):
        backbone = 'MobileNetV2'
    else:
        units = {re.match(r'stage3_unit\d+_|', name)[0] for name in shapes}
        backbone = {6: 'R-50', 23: 'R-101'}.get(len(units - {''}))
    network = (backbone or 'an unknown backbone',)
    if 'rpn_cls_score_weight' in shapes:
        network += (shapes.get('cls_score_weight', (0,))[0],)
        for head, layer in (('mask', 'mask_out'), ('focus', 'conv_new_out')):
            if f'{layer}_weight' in shapes:
                network += (head,)
    if network not in CONFIGS:
        backbone, *rest = map(str, network)
        parts = rest and [f'{rest[0]} rows of cls_score', *rest[1:]]
        raise ValueError(f'no config has {", ".join([backbone, *parts])}')
    return f'configs/{CONFIGS[network]}.py'


def convert(params: Path, out: Path) -> tuple[str, str]:
    """Convert a file; what became of it ('converted', ...), and its config."""
    config, result = 'CONFIG', 'failed'
    print(f'\n{params}', flush=True)
    try:
        shapes = {k: v.shape for k, v in read_params(params).items()}
        result = 'unknown'
        config = os.path.relpath(ROOT / config_of(shapes))
    except ValueError as error:
        print(f'  {error}')
    tool = ROOT / 'tools/model_converters/mxnet_to_mmdet.py'
    command = [os.path.relpath(tool), params, out, '--config', config]
    command = [str(word) for word in command]
    if config != 'CONFIG':
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True
        )
        result = 'failed' if done.returncode else 'converted'
        lines = (done.stderr if done.returncode else done.stdout).splitlines()
        print('\n'.join(f'  {line}' for line in lines[-2:]))
    if result != 'converted':
        print(f'  By hand: python {shlex.join(command)}')
    return result, config


def convert_all(files: list[Path], folder: Path | None) -> bool:
    """Convert the .params among files, into a folder or each beside itself.

    Returns:
        bool: Whether some were, and none failed.
    """
    rows = []
    for params in sorted(files):
        if params.suffix != '.params' or params.name.startswith('.'):
            continue
        out = params.with_suffix('.pth')
        if folder is not None:
            # Without the epoch's number.
            out = folder / re.sub(r'-\d{4}\.pth$', '.pth', out.name)
        result, config = convert(params, out)
        rows.append((result, out if result == 'converted' else params, config))
    print(f'\n{len(rows)} files of weights:')
    width = max((len(str(path)) for _, path, _ in rows), default=0)
    for result, path, config in rows:
        print(f'{result:10} {path!s:{width}} {config}')
    results = {result for result, _, _ in rows}
    return 'converted' in results and 'failed' not in results


def main():
    args = parse_args()
    url, name, inside = ARCHIVES[args.what]
    archive = args.dest / name
    if archive.exists():
        print(f'{archive} is there already.')
    else:
        print(f'Fetching {args.url or url} ...', flush=True)
        fetch(args.url or url, archive)
    digest = sha256(archive)
    print(f'{archive}: {archive.stat().st_size} bytes, SHA-256 {digest}')
    if args.sha256 and digest != args.sha256.lower():
        raise ValueError(
            f'{archive} must have the SHA-256 {args.sha256.lower()}. '
            f'Received: {digest}. Nothing was unpacked; remove it to fetch '
            'it anew.'
        )
    files = unpack(archive, args.dest, inside)
    print(f'{len(files)} files were unpacked:')
    for path in files:
        print(f'  {path}')
    if args.what == 'proposals':
        tool = ROOT / 'tools/dataset_converters/convert_proposals.py'
        print('\nTo convert, with a config that trains on their images:')
        for path in files:
            if path.suffix == '.pkl':
                words = [os.path.relpath(tool), path, 'CONFIG', '--out']
                words.append(path.with_suffix('.npz'))
                print(f'  python {shlex.join(map(str, words))}')
    elif not args.no_convert:
        pretrained = args.what == 'pretrained'
        folder = args.dest / PRETRAINED if pretrained else None
        if not convert_all(files, folder):
            sys.exit(1)


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'download_weights: {error}') from None
