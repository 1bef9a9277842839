"""Build mmcv with its compiled ops from the source release, and install it.

PyPI has no wheel of mmcv with ops, and the plain source build parses torch's
headers once for each of about a hundred files. This tool first compiles the
one header that all of them include, which cuts the build to about a third
(measured: 11 -> 4 minutes on two cores, no GPU).

    python tools/misc/build_mmcv_ops.py onedl-mmcv==2.3.6

Run it with the interpreter of the target environment, which must have torch.
On a machine with a GPU prefer a matching wheel: ``mim install onedl-mmcv``.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HEADER = 'mmcv/ops/csrc/common/pytorch_cpp_helper.hpp'


def pip(command, *args, **kwargs):
    cmd = [sys.executable, '-m', 'pip', *command.split(), *args]
    subprocess.run(cmd, check=True, **kwargs)


# torch's builder adds flags that differ between versions, and compilers
# silently ignore a header that was compiled with other flags. The build
# therefore calls this wrapper of the compiler, which first compiles the header
# with the flags of the first file.
COMPILER = """\
import fcntl
import os
import subprocess
import sys

compiler, header, args = {compiler!r}, {header!r}, sys.argv[1:]
if '-c' in args:
    with open(header + '.lock', 'a') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.fstat(lock.fileno()).st_size:
            lock.write('tried')
            first = args[len(args) - args[::-1].index('-c')]
            rest = (arg for arg in args if arg not in ('-c', '-MMD', first))
            flags = []
            for arg in rest:
                if arg in ('-o', '-MF'):
                    next(rest)
                else:
                    flags.append(arg)
            kind = ['-x', 'c++-header', header, '-o', header + '.gch']
            if subprocess.run([*compiler, *flags, *kind]).returncode:
                print('mmcv: the header could not be precompiled; the build '
                      'will take about three times as long')
os.execvp(compiler[0], [*compiler, *args])
"""


def write_compiler(folder, header):
    """Write a C++ compiler that precompiles a header; return its path."""
    path = folder / 'g++'  # a name that torch knows
    script = folder / 'compiler.py'
    compiler = shlex.split(os.environ.get('CXX', 'c++'))
    script.write_text(COMPILER.format(compiler=compiler, header=str(header)))
    # A shebang line with Python's path allows no spaces and no long paths.
    start = shlex.join([sys.executable, str(script)])
    path.write_text(f'#!/bin/sh\nexec {start} "$@"\n')
    path.chmod(0o755)
    return path


def keep_wheel(wheel, folder):
    """Copy the wheel, whole or not at all; a failure is only reported."""
    part = folder / f'{wheel.name}.part'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(wheel, part)
        part.replace(folder / wheel.name)
    except OSError as error:
        print(f'mmcv: the wheel could not be kept: {error}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('requirement', nargs='?', default='onedl-mmcv==2.3.6')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument(
        '--wheel-dir', type=Path, help='folder for a copy of the wheel'
    )
    args = parser.parse_args()
    # CFLAGS replaces Python's own flags. Without debug symbols the build saves
    # a fifth of its time and nine tenths of its size.
    os.environ['CFLAGS'] = '-O3 -DNDEBUG -fwrapv -g0'
    alone = '-q --no-deps --no-build-isolation'
    with tempfile.TemporaryDirectory(prefix='mmcv-build-') as tmp:
        tmp = Path(tmp)
        pip(f'download {alone} --no-binary :all: -d', tmp, args.requirement)
        (archive,) = tmp.glob('*.tar.gz')
        # Newer Pythons have a safe way to unpack.
        safe = {'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}
        with tarfile.open(archive) as tar:
            tar.extractall(tmp, **safe)
        source = tmp / archive.name.removesuffix('.tar.gz')
        env = dict(
            MMCV_WITH_OPS='1',
            FORCE_CUDA='0',
            MAX_JOBS=str(args.jobs),
            CXX=str(write_compiler(tmp, source / HEADER)),
        )
        pip(f'wheel {alone} -w', tmp, source, env=os.environ | env)
        (wheel,) = tmp.glob('*.whl')
        if args.wheel_dir:
            keep_wheel(wheel, args.wheel_dir)
        pip('install -q --no-deps --force-reinstall', wheel)


if __name__ == '__main__':
    main()
