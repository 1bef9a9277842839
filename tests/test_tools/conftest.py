"""Where a user stands, and tools run in this process."""

import runpy
import sys

import pytest
import torch
from runs import ONE_EPOCH, TOOLS, start
from tiny import SAMPLE_CONFIG, cli, sample_options


@pytest.fixture(scope='session')
def folder(tiny_scenes, tmp_path_factory):
    """Where a user stands: the scenes are in data/sample."""
    folder = tmp_path_factory.mktemp('user')
    (folder / 'data').mkdir()
    (folder / 'data/sample').symlink_to(tiny_scenes)
    return folder


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    """A new folder to stand in, with the same scenes."""
    (tmp_path / 'data').symlink_to(folder / 'data')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tool(here, monkeypatch):
    """Run a tool in this process: most of a short run is imports."""

    def run(name, *args, **options):
        if options:
            # Logs and pictures of a run go where those of its name went.
            name_of_run = f'{here}/{run.count}'
            args += tuple(
                cli(
                    {
                        'experiment_name': name_of_run,
                        'visualizer.name': name_of_run,
                        **options,
                    }
                )
            )
        run.count += 1
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        runpy.run_path(str(TOOLS / name), run_name='__main__')

    run.count = 0
    # The launcher's argument is put into the environment for mmengine.
    monkeypatch.setenv('LOCAL_RANK', '0')
    yield run
    torch.set_flush_denormal(False)


@pytest.fixture(scope='session')
def trained(folder):
    """A checkpoint, made by tools/train.py."""
    done = start(
        sys.executable,
        TOOLS / 'train.py',
        SAMPLE_CONFIG,
        '--work-dir',
        'trained',
        *cli(sample_options(**ONE_EPOCH)),
        cwd=folder,
    )
    assert 'coco/bbox_mAP' in done.stdout
    return folder / 'trained/epoch_1.pth'
