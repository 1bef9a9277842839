"""Build mmcv with its compiled ops from the source release, and install it.

There is no wheel of mmcv with ops on PyPI, and the plain source build parses
torch's headers once for each of about a hundred files. Here the one header
that all of them include is compiled first, which cuts the build to about a
third (measured: 11 -> 4 minutes on two cores, no GPU).

    python tools/misc/build_mmcv_ops.py onedl-mmcv==2.3.6

Run it with the interpreter of the target environment; torch must be there.
On a machine with a GPU prefer a matching wheel: ``mim install onedl-mmcv``.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HEADER = 'mmcv/ops/csrc/common/pytorch_cpp_helper.hpp'


def run(*cmd, **kwargs):
    subprocess.run([str(c) for c in cmd], check=True, **kwargs)


def compile_flags():
    """The compiler and flags that torch's extension builder will use."""
    from setuptools._distutils.ccompiler import new_compiler
    from setuptools._distutils.sysconfig import customize_compiler

    compiler = new_compiler()
    customize_compiler(compiler)
    command = getattr(compiler, 'compiler_so_cxx', compiler.compiler_so)
    return [
        os.environ.get('CXX', 'c++'),
        *command[1:],
        '-std=c++17',
        '-DTORCH_API_INCLUDE_EXTENSION_H',
        '-DTORCH_EXTENSION_NAME=_ext',
    ]


def precompile_header(source):
    """Compile the common header beside itself; a failure only costs time."""
    import sysconfig

    from torch.utils.cpp_extension import include_paths

    header = source / HEADER
    includes = [f'-I{header.parent}']
    includes += [f'-I{path}' for path in include_paths()]
    includes.append(f'-I{sysconfig.get_path("include")}')
    cmd = [
        *compile_flags(),
        *includes,
        '-x',
        'c++-header',
        str(header),
        '-o',
        f'{header}.gch',
    ]
    if subprocess.run(cmd).returncode:
        print(
            'mmcv: the header could not be precompiled; the build will '
            'take about three times as long'
        )


def keep_wheel(wheel, folder):
    """Copy the wheel, whole or not at all; a failure costs a later build."""
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
        '--wheel-dir', type=Path, help='keep the wheel in this folder too'
    )
    args = parser.parse_args()
    pip = (sys.executable, '-m', 'pip')
    # Both compilations read CFLAGS, which replaces Python's own flags. No
    # debug symbols: a fifth of the time, nine tenths of the size of the build.
    os.environ['CFLAGS'] = '-O3 -DNDEBUG -fwrapv -g0'
    with tempfile.TemporaryDirectory(prefix='mmcv-build-') as tmp:
        tmp = Path(tmp)
        run(
            *pip,
            'download',
            '-q',
            '--no-deps',
            '--no-binary',
            ':all:',
            '--no-build-isolation',
            '-d',
            tmp,
            args.requirement,
        )
        (archive,) = tmp.glob('*.tar.gz')
        with tarfile.open(archive) as tar:
            tar.extractall(
                tmp,
                **(
                    {'filter': 'data'}
                    if hasattr(tarfile, 'data_filter')
                    else {}
                ),
            )
        source = tmp / archive.name[: -len('.tar.gz')]
        precompile_header(source)
        env = dict(
            os.environ,
            MMCV_WITH_OPS='1',
            FORCE_CUDA='0',
            MAX_JOBS=str(args.jobs),
        )
        run(
            *pip,
            'wheel',
            '-q',
            '--no-build-isolation',
            '--no-deps',
            '-w',
            tmp,
            source,
            env=env,
        )
        (wheel,) = tmp.glob('*.whl')
        if args.wheel_dir:
            keep_wheel(wheel, args.wheel_dir)
        run(*pip, 'install', '-q', '--no-deps', '--force-reinstall', wheel)


if __name__ == '__main__':
    main()
