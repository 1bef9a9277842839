"""The header that mmcv's files share is compiled once, and is used."""

import os
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = """
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

# -H tells which headers are read; '!' is before those that are read compiled.
extension = CppExtension('_ext', ['a.cpp', 'b.cpp'],
                         include_dirs=['{folder}'], extra_compile_args=['-H'])
setup(
    name='toy',
    ext_modules=[extension],
    cmdclass=dict(build_ext=BuildExtension.with_options(use_ninja={ninja})),
)
"""


@pytest.mark.skipif(not shutil.which('g++'), reason='no g++')
@pytest.mark.parametrize('ninja', [True, False])
def test_header_has_the_flags_of_torchs_builder(tmp_path, monkeypatch, ninja):
    tool = runpy.run_path(str(ROOT / 'tools/misc/build_mmcv_ops.py'))
    header = tmp_path / 'common' / 'shared.hpp'
    header.parent.mkdir()
    header.write_text('#include <vector>\n')
    for name in 'ab':
        (tmp_path / f'{name}.cpp').write_text(
            f'#include "shared.hpp"\nstd::vector<int> {name};\n'
        )
    (tmp_path / 'setup.py').write_text(
        SETUP.format(folder=header.parent, ninja=ninja)
    )
    # The tool's Python may be in any folder.
    python = tmp_path / 'my python'
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(python))
    compiler = tool['write_compiler'](tmp_path, header)
    done = subprocess.run(
        [str(python), 'setup.py', 'build_ext', '--inplace'],
        cwd=tmp_path,
        env=dict(os.environ, CXX=str(compiler), MAX_JOBS='2'),
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count(f'! {header}.gch') == 2, said
    assert len([*header.parent.glob('*.gch')]) == 1
