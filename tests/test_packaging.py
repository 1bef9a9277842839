"""The package installs in every way, and mim finds its files in each."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from importlib import metadata
from pathlib import Path

import packaging
import pytest

import sniper_mmdet
from sniper_mmdet.utils import dependencies

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    'setup.py',
    'pyproject.toml',
    'MANIFEST.in',
    'LICENSE',
    'CHANGELOG.md',
    'CITATION.cff',
    'README.md',
    'model-index.yml',
    'requirements',
    'sniper_mmdet',
    'configs',
    'tools',
)
CONFIG = 'configs/for_this_test/unique-name_for-this-test.py'


def python(executable, *args, cwd):
    # Not the caller's paths: they would hide a package that is not installed.
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    done = subprocess.run(
        [executable, *map(str, args)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture
def source(tmp_path):
    """A copy of the sources: a build leaves files among them."""
    copy = tmp_path / 'source'
    copy.mkdir()
    ignore = shutil.ignore_patterns('.mim', '__pycache__')
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=ignore)
        elif (ROOT / name).exists():
            shutil.copy2(ROOT / name, copy)
    (copy / CONFIG).parent.mkdir(parents=True)
    (copy / CONFIG).write_text('a = 1\n')
    (copy / CONFIG).with_name('weights.pth').write_text('not to be shipped')
    return copy


@pytest.fixture
def environment(tmp_path):
    """The interpreter of a new environment that sees this one's packages."""
    folder = tmp_path / 'venv'
    python(sys.executable, '-m', 'venv', '--without-pip', folder, cwd=tmp_path)
    (site,) = folder.glob('lib/python*/site-packages')
    (site / 'these.pth').write_text(
        '\n'.join(path for path in sys.path if path.endswith('-packages'))
    )
    return folder / 'bin' / 'python'


def install(environment, *args, cwd):
    # This environment's own sniper_mmdet is seen too, and must not count.
    python(
        environment,
        '-m',
        'pip',
        'install',
        '--no-deps',
        '--no-build-isolation',
        '--ignore-installed',
        *args,
        cwd=cwd,
    )


def run_where(environment, tmp_path):
    """Where the package lies and which config mim finds by its name."""
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    package = python(
        environment,
        '-c',
        'import sniper_mmdet; print(sniper_mmdet.__file__)',
        cwd=elsewhere,
    )
    found = python(
        environment,
        '-c',
        'import sys, os.path as osp\n'
        'from mim.utils import get_installed_path, recursively_find\n'
        'root = get_installed_path("sniper_mmdet")\n'
        'print(*recursively_find(root, sys.argv[1], followlinks=True))\n'
        'tools = [osp.join(root, x, "tools/setup_env.sh")'
        ' for x in (".mim", "")]\n'
        'assert any(map(osp.exists, tools)), root',
        Path(CONFIG).name,
        cwd=elsewhere,
    )
    return Path(package).parent, found.split()


def assert_complete(names, prefix):
    assert f'{prefix}/model-index.yml' in names
    assert f'{prefix}/{CONFIG}' in names
    assert f'{prefix}/tools/setup_env.sh' in names
    assert f'{prefix}/tools/misc/build_mmcv_ops.py' in names
    assert not [name for name in names if name.endswith('.pth')]


def wheel_names(folder):
    (wheel,) = folder.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.slow
def test_wheel_carries_mim_folder(source, tmp_path):
    python(
        sys.executable,
        '-m',
        'pip',
        'wheel',
        '--no-deps',
        '--no-build-isolation',
        '-w',
        tmp_path,
        source,
        cwd=tmp_path,
    )
    names = wheel_names(tmp_path)
    assert_complete(names, 'sniper_mmdet/.mim')
    assert_complete(
        names, f'sniper_mmdet-{sniper_mmdet.__version__}.dist-info/.mim'
    )
    assert 'sniper_mmdet/chips/__init__.py' in names
    assert not [
        name
        for name in names
        if name.split('/')[0] in ('tests', 'tools', 'configs')
    ]
    # Nothing is left in the sources that mim would take for a second config.
    assert len(list(source.rglob(Path(CONFIG).name))) == 1


@pytest.mark.slow
def test_source_release_builds_the_same_wheel(source, tmp_path):
    python(
        sys.executable,
        '-c',
        'from setuptools import build_meta as b\n'
        'import sys; b.build_sdist(sys.argv[1])',
        tmp_path,
        cwd=source,
    )
    (archive,) = tmp_path.glob('*.tar.gz')
    for folder, origin in (('a', source), ('b', archive)):
        python(
            sys.executable,
            '-m',
            'pip',
            'wheel',
            '--no-deps',
            '--no-build-isolation',
            '-w',
            tmp_path / folder,
            origin,
            cwd=tmp_path,
        )
    assert sorted(wheel_names(tmp_path / 'a')) == sorted(
        wheel_names(tmp_path / 'b')
    )


@pytest.mark.slow
def test_plain_install(source, environment, tmp_path):
    install(environment, source, cwd=tmp_path)
    package, found = run_where(environment, tmp_path)
    assert source not in package.parents
    assert (package / '.mim' / CONFIG).is_file()
    assert os.access(package / '.mim/tools/dist_train.sh', os.X_OK)
    assert len(found) == 1


@pytest.mark.slow
def test_editable_install(source, environment, tmp_path):
    install(environment, '-e', source, cwd=tmp_path)
    package, found = run_where(environment, tmp_path)
    assert package == source / 'sniper_mmdet'
    for name in ('tools', 'model-index.yml'):
        link = package / '.mim' / name
        assert link.is_symlink()
        assert link.resolve() == source / name
    assert found == [str(source / CONFIG)]
    # A second one replaces the links of the first.
    install(environment, '-e', source, cwd=tmp_path)


def test_version():
    assert (
        '.'.join(map(str, sniper_mmdet.version_info))
        == sniper_mmdet.__version__
    )


def test_chips_need_no_openmmlab(tmp_path):
    python(
        sys.executable,
        '-c',
        'import sys\n'
        f'sys.path.insert(0, {str(ROOT)!r})\n'
        'for name in ("torch", "mmcv", "mmengine", "mmdet"):\n'
        '    sys.modules[name] = None  # importing it raises\n'
        'import sniper_mmdet.chips',
        cwd=tmp_path,
    )


NEWER = ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection')
OLDER = ('mmengine', 'mmcv', 'mmdet')


def pretend_installed(folder, names) -> None:
    for name in names:
        info = folder / f'{name.replace("-", "_")}-1.0.0.dist-info'
        info.mkdir(parents=True)
        (info / 'METADATA').write_text(f'Name: {name}\nVersion: 1.0.0\n')


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Pretend that nothing but some distributions is installed."""

    def pretend(*names):
        pretend_installed(tmp_path / 'site', names)
        monkeypatch.setattr(
            dependencies.metadata,
            'distributions',
            partial(metadata.distributions, path=[str(tmp_path / 'site')]),
        )

    return pretend


@pytest.mark.parametrize(
    ('names', 'lines'),
    [
        ((), []),
        (NEWER, ['newer']),
        (OLDER, ['older']),
        (('onedl-mmcv',), ['newer']),
        (('mmdet', 'onedl-mim'), ['older']),
        (('mmcv-lite', 'openmim'), []),
        (('mmcv', 'onedl-mmdetection'), ['newer', 'older']),
    ],
)
def test_lines_are_known_by_what_is_installed(installed, names, lines):
    installed(*names)
    assert dependencies.installed_lines() == lines


@pytest.mark.parametrize(
    ('names', 'missing', 'command'),
    [
        ((), 'torch', 'pip install torch'),
        ((), 'mmengine', 'pip install onedl-mmengine'),
        ((), 'mmcv', 'mim install onedl-mmcv'),
        ((), 'mmdet', 'pip install onedl-mmdetection'),
        (NEWER, 'mmcv._ext', 'mim install onedl-mmcv'),
        (NEWER[:2], 'mmdet', 'pip install onedl-mmdetection'),
        (OLDER, 'torch', "pip install 'torch<2.6'"),
        (OLDER[1:], 'mmengine', 'pip install mmengine'),
        (OLDER[::2], 'mmcv', "mim install 'mmcv<2.2'"),
        (OLDER[:2], 'mmdet', 'pip install mmdet'),
        (OLDER, 'mmcv._ext', "mim install 'mmcv<2.2'"),
    ],
)
def test_missing_package_is_named(
    installed, monkeypatch, names, missing, command
):
    installed(*names)
    monkeypatch.setattr(
        dependencies,
        'find_spec',
        lambda name: None if name == missing else 'a spec',
    )
    with pytest.raises(ImportError) as error:
        dependencies.require_openmmlab()
    assert error.value.name == missing
    assert missing in str(error.value)
    # The command of the other line only begins alike.
    assert str(error.value).endswith(command)
    assert '\n' not in str(error.value)


def test_nothing_missing(monkeypatch):
    monkeypatch.setattr(dependencies, 'find_spec', lambda name: 'a spec')
    dependencies.require_openmmlab()


@pytest.mark.parametrize(
    ('says', 'expected'),
    [
        ('echo 3.8', 'is Python 3.8. Python 3.10 to 3.13 is needed'),
        ('exit 127', 'does not run. Python 3.10 to 3.13 is needed'),
    ],
)
def test_set_up_names_an_unfit_python(source, tmp_path, says, expected):
    unfit = tmp_path / 'unfit-python'
    unfit.write_text(f'#!/bin/sh\n{says}\n')
    unfit.chmod(0o755)
    env = {k: v for k, v in os.environ.items() if k != 'VIRTUAL_ENV'}
    done = subprocess.run(
        ['bash', source / 'tools/setup_env.sh'],
        env=dict(env, PYTHON=str(unfit)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"'{unfit}' {expected}" in done.stderr
    assert not (source / '.venv').exists()


#: Stands for pip: keeps what it was asked for, and installs mmcv.
PIP = """
import sys
from pathlib import Path

here = Path(__file__).parents[1]
args = sys.argv[1:]
files = [Path(a).read_text() for a in args if Path(a).is_file()]
with open(here / 'asked.txt', 'a') as asked:
    print(*args, *files, sep='\\n', file=asked)
if 'show' in args:
    sys.exit(1)
if any('mmcv==' in arg for arg in args):
    (here / 'mmcv').mkdir()
    (here / 'mmcv' / 'ops.py').touch()
"""


@pytest.mark.parametrize(
    ('names', 'brought', 'ops'),
    [
        (OLDER[::2], {'openmim', 'setuptools>=80'}, 'mmcv==2.1.0'),
        (OLDER[2:], {'mmengine', 'openmim', 'setuptools>=80'}, 'mmcv==2.1.0'),
        (
            NEWER[:1],
            {'onedl-mim>=0.5.1', 'onedl-mmdetection>=3.5.1', 'setuptools>=80'},
            'onedl-mmcv==2.3.6',
        ),
    ],
)
def test_set_up_completes_the_line_that_is_there(
    source, environment, tmp_path, names, brought, ops
):
    (site,) = environment.parents[1].glob('lib/python*/site-packages')
    (site / 'these.pth').unlink()
    pretend_installed(site, ('torch', 'numpy', *names))
    for info in site.glob('torch-*/METADATA'):
        info.write_text('Name: torch\nVersion: 2.5.1\n')
    for module in ('cv2', 'mmdet'):
        (site / f'{module}.py').touch()
    (site / 'pip').mkdir()
    (site / 'pip' / '__main__.py').write_text(PIP)
    (site / 'packaging').symlink_to(Path(packaging.__file__).parent)
    done = subprocess.run(
        ['bash', source / 'tools/setup_env.sh'],
        env=dict(
            os.environ,
            VIRTUAL_ENV=str(environment.parents[1]),
            SNIPER_WHEELS=str(tmp_path),
        ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    asked = (site / 'asked.txt').read_text().splitlines()
    assert brought <= {*asked}, asked
    assert ops in asked
    # Nothing of the other line, and nothing that it cannot work with.
    other = OLDER if names[0] in NEWER else NEWER
    assert not {re.split('[<=>]', line)[0] for line in asked} & {*other}
    assert ('setuptools==81.0.0' in asked) == (names[0] in OLDER)


def test_set_up_refuses_a_mix_of_lines(source, environment, tmp_path):
    (site,) = environment.parents[1].glob('lib/python*/site-packages')
    pretend_installed(site, ('mmengine', 'onedl-mmcv'))
    done = subprocess.run(
        ['bash', source / 'tools/setup_env.sh'],
        env=dict(os.environ, VIRTUAL_ENV=str(environment.parents[1])),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert 'packages of both lines are here' in done.stderr
