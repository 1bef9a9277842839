"""Download the files that the authors released, and convert them.

    python tools/download_weights.py detectors    # output/**/*.pth
    python tools/download_weights.py pretrained   # data/pretrained_model/*.pth
    python tools/download_weights.py proposals    # data/proposals/*.pkl
    python tools/download_weights.py rfcn3k       # CRCNN-0007.pth in output/
    python tools/download_weights.py ssh          # data/SSH_models/SSH.pth
    python tools/download_weights.py ssh-pretrained  # data/imagenet_models

The tool uses the authors' links. After an interrupted download the next call
fetches the rest; an archive that is there already, also one that you put
there, is not fetched again. The tool finds the config of a network by its
tensors. Only a browser can fetch the file of R-FCN-3000: the tool prints the
link and where to put the file, and converts it once it is there.
"""

import os
import re
import shlex
import sys
from pathlib import Path
from textwrap import indent

from sniper_mmdet.released import rfcn3k, sniper, ssh
from sniper_mmdet.released.archives import unpack
from sniper_mmdet.released.download import fetch, sha256
from sniper_mmdet.utils import cli

ARCHIVES = sniper.ARCHIVES | ssh.ARCHIVES
ROOT = Path(__file__).resolve().parents[1]


def parse_args():
    parser = cli.make_parser(__doc__)
    choices = [*ARCHIVES, 'rfcn3k']
    parser.add_argument('what', choices=choices, help='files to fetch')
    where = (
        'folder to unpack into; configs look for data/pretrained_model in the '
    )
    where += 'current folder'
    cli.add_options(
        parser,
        dest=(Path(), where),
        url="link to use instead of the authors'",
        sha256='digest that the archive must have',
        no_convert=(False, 'do not convert the weights'),
    )
    args = cli.parse(parser)
    if args.url and not re.match('https?://', args.url):
        parser.error(
            f'--url must begin with http:// or https://. Received: {args.url}.'
        )
    if args.url and args.what == 'rfcn3k':
        parser.error(f'--url is for archives only. Received: {args.url}.')
    right = not args.sha256 or re.fullmatch('[0-9a-fA-F]{64}', args.sha256)
    rule = '--sha256 must be 64 hexadecimal digits'
    cli.require(parser, right, rule, args.sha256)
    return args


def command(tool: str, *args) -> str:
    """The command line of a tool, for a shell."""
    words = ['python', os.path.relpath(ROOT / 'tools' / tool), *args]
    return shlex.join(map(str, words))


def convert_all(files: list[Path], folder: Path | None) -> bool:
    """Convert the weights among files, into a folder or each beside itself.

    Returns whether at least one was converted and none failed.
    """
    # Fetching alone does not need torch.
    from sniper_mmdet.released.conversion import convert_released

    rows = []
    for params in sorted(files):
        known = params.suffix in ('.params', '.caffemodel')
        if not known or params.name.startswith('.'):
            continue
        out = params.with_suffix('.pth')
        if folder is not None:
            # Without the epoch's number.
            out = folder / re.sub(r'-\d{4}\.pth$', '.pth', out.name)
        print(f'\n{params}', flush=True)
        with cli.quiet():
            result, config, text = convert_released(params, out, ROOT)
        config = config or 'CONFIG'
        print(indent(text, '  '))
        if result != 'converted':
            tool = 'model_converters/mxnet_to_mmdet.py'
            line = command(tool, params, out, '--config', config)
            print(f'  By hand: {line}')
        rows.append((result, out if result == 'converted' else params, config))
    print(f'\n{len(rows)} files of weights:')
    width = max((len(str(path)) for _, path, _ in rows), default=0)
    for result, path, config in rows:
        print(f'{result:10} {path!s:{width}} {config}')
    results = {result for result, _, _ in rows}
    return 'converted' in results and 'failed' not in results


def checked(args, archive: Path) -> None:
    """Print the digest of a file, and compare it with --sha256."""
    digest = sha256(archive)
    print(f'{archive}: {archive.stat().st_size} bytes, SHA-256 {digest}')
    if args.sha256 and digest != args.sha256.lower():
        rule = f'{archive} must have the SHA-256 {args.sha256.lower()}'
        after = 'Nothing was unpacked; remove it to fetch it anew.'
        raise ValueError(f'{rule}. Received: {digest}. {after}')


def main():
    args = parse_args()
    if args.what == 'rfcn3k':
        drive, baidu, name = rfcn3k.LINKS['detector']
        if not (args.dest / name).exists():
            rule = f'put the file of {drive}, or of {baidu}, at'
            after = 'and run this again: only a browser can fetch it.'
            raise ValueError(f'{rule} {args.dest / name} {after}')
        checked(args, args.dest / name)
        if args.no_convert or convert_all([args.dest / name], None):
            return
        sys.exit(1)
    url, name, inside = ARCHIVES[args.what]
    archive = args.dest / name
    if archive.exists():
        print(f'{archive} is there already.')
    else:
        print(f'Fetching {args.url or url} ...', flush=True)
        fetch(args.url or url, archive)
    checked(args, archive)
    files = unpack(archive, args.dest, inside)
    print(f'{len(files)} files were unpacked:', *files, sep='\n  ')
    if args.what == 'proposals':
        tool = 'dataset_converters/convert_proposals.py'
        print('\nTo convert, with a config that trains on their images:')
        for path in files:
            if path.suffix == '.pkl':
                out = path.with_suffix('.npz')
                print(f'  {command(tool, path, "CONFIG", "--out", out)}')
    elif not args.no_convert:
        pretrained = args.what == 'pretrained'
        folder = args.dest / sniper.PRETRAINED if pretrained else None
        if not convert_all(files, folder):
            sys.exit(1)


if __name__ == '__main__':
    cli.run(main)
