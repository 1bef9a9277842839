"""mim installs, finds, writes and runs what the package has."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import test_packaging
import yaml
from tiny import ROOT, SAMPLE_CONFIG, cli, sample_options

source = test_packaging.source
environment = test_packaging.environment
NAME = SAMPLE_CONFIG.stem
OFFLINE = ('--no-deps', '--no-build-isolation', '--ignore-installed')


def models() -> list[dict]:
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    files = [
        yaml.safe_load((ROOT / path).read_text()) for path in index['Import']
    ]
    return [model for file in files for model in file['Models']]


def epochs(name: str) -> int:
    number, unit = re.search(r'_(\d+)([ex])_', name).groups()
    return int(number) * {'e': 1, 'x': 12}[unit]


@pytest.mark.parametrize('model', models(), ids=lambda m: m['Name'])
def test_metafile_agrees_with_the_name(model):
    name = model['Name']
    # mim compares in lower case.
    assert name == Path(model['Config']).stem == name.lower()
    assert Path(model['Config']).parent.name == (
        model['In Collection'].lower()
    )
    data = model['Metadata']['Training Data']
    assert data.lower() == name.split('_')[-1].removesuffix('-trainval')
    assert model['Metadata']['Epochs'] == epochs(name)


@pytest.mark.parametrize('model', models(), ids=lambda m: m['Name'])
def test_metafile_result_is_in_the_model_zoo(model):
    row = next(
        (
            line
            for line in (ROOT / 'model_zoo.md').read_text().splitlines()
            if f'`{model["Name"]}.py`' in line and '| yes' in line
        ),
        '',
    )
    for result in model.get('Results', ()):
        assert str(result['Metrics']['box AP']) in row


def test_every_model_can_be_downloaded():
    """mim stops at a model without an address of weights."""
    search = pytest.importorskip('mim.commands.search')
    from modelindex.load_model_index import load

    table = search.convert2df(load(str(ROOT / 'model-index.yml')))
    assert sorted(table.index) == sorted(m['Name'] for m in models())
    for name, weight in table['weight'].items():
        # What mim does not fetch, or what it can.
        assert weight == 'none published/' or re.fullmatch(
            r'https://\S+\.pth', weight
        ), name


class Commands:
    """The commands of a new environment, run in a new folder."""

    def __init__(self, bin: Path, folder: Path):
        self.bin = bin
        self.folder = folder
        folder.mkdir()

    def start(self, *command, cwd=None):
        # Not the caller's paths: they hide a package that is not installed.
        env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
        return subprocess.run(
            [self.bin / command[0], *map(str, command[1:])],
            cwd=cwd or self.folder,
            env=dict(env, OMP_NUM_THREADS='1'),
            capture_output=True,
            text=True,
        )

    def run(self, *command, cwd=None) -> str:
        done = self.start(*command, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pip(self, *args) -> None:
        self.run('python', '-m', 'pip', 'install', *OFFLINE, *args)


@pytest.fixture
def commands(environment, tmp_path):
    """With an mim of its own: it installs into the Python that runs it."""
    commands = Commands(environment.parent, tmp_path / 'elsewhere')
    done = commands.start(
        *('python', '-m', 'pip', 'install', '--no-deps', '--ignore-installed'),
        *('-c', ROOT / 'requirements/constraints.txt', 'onedl-mim'),
    )
    if done.returncode:
        pytest.skip(f'no mim: {done.stderr.strip().splitlines()[-1]}')
    return commands


def search(commands, *options) -> dict:
    """Field by field, the models that have it."""
    commands.run('mim', 'search', 'sniper_mmdet', *options, '--json', 'a.json')
    return json.loads((commands.folder / 'a.json').read_text())


def assert_found(commands) -> None:
    """What mim search and mim download do, for a package without weights."""
    fields = search(commands)
    assert set(fields['config']) == {model['Name'] for model in models()}
    assert fields['epochs'][NAME] == 2
    assert fields['sample/box_ap'][NAME] > 0

    out = commands.run(
        *('mim', 'download', 'sniper_mmdet', '--dest', 'mine', '--config'),
        *(NAME, 'faster-rcnn_r50_fpn_autofocus_7e_coco'),
    )
    assert f'Successfully dumped {NAME}.py' in out
    # No weights: nothing but the configs.
    assert sorted(p.name for p in (commands.folder / 'mine').iterdir()) == [
        f'{NAME}.py',
        'faster-rcnn_r50_fpn_autofocus_7e_coco.py',
    ]


def assert_runs(commands, config, scenes) -> None:
    """Trains and tests in the folder that the data are in."""
    shutil.copytree(scenes, commands.folder / 'data/sample')
    options = cli(sample_options(**{'train_cfg.max_epochs': 1}))
    start = ('sniper_mmdet', config)
    out = commands.run(
        *('mim', 'train', *start, '--work-dir', 'out', *options)
    )
    assert 'Training finished successfully' in out
    out = commands.run(
        *('mim', 'test', *start, '--checkpoint', 'out/epoch_1.pth'),
        *('--work-dir', 'out', *options),
    )
    assert 'Testing finished successfully' in out
    assert 'coco/bbox_mAP' in out


@pytest.mark.slow
def test_wheel(source, commands, tmp_path, tiny_scenes):
    commands.run(
        *('python', '-m', 'pip', 'wheel', '--no-deps', '-w', tmp_path),
        *('--no-build-isolation', source),
    )
    shutil.rmtree(source)
    commands.pip(*tmp_path.glob('*.whl'))
    assert_found(commands)
    assert_runs(commands, f'{NAME}.py', tiny_scenes)


@pytest.mark.slow
def test_editable(source, commands, tiny_scenes):
    commands.pip('-e', source)
    assert_found(commands)
    # A downloaded config is whole: it runs without those it was made of.
    assert_runs(commands, f'mine/{NAME}.py', tiny_scenes)


@pytest.mark.slow
def test_mim_install(source, commands):
    commands.run('mim', 'install', *OFFLINE, '.', cwd=source)
    shutil.rmtree(source)
    assert_found(commands)
    for options in (
        ('--config', NAME),
        ('--model', 'autofocus'),
        ('--dataset', 'bccd', 'deeppcb'),
        ('--condition', 'epochs>50'),
        ('--condition', 'box_ap>50'),
    ):
        found = search(commands, *options)['config']
        assert 0 < len(found) < len(models())
    out = commands.run('mim', 'search', 'sniper_mmdet', '--field', 'weight')
    assert 'none published/' in out
