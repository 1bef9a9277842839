"""Tiny detectors as a user has them, and images and videos of spots."""

import runpy
import sys
from types import SimpleNamespace

import cv2
import pytest
import torch
from decoupled import write_checkpoint, write_config
from mmengine.config import Config
from mmengine.registry import init_default_scope
from spots import SpotDetector, spot
from tiny import ROOT, shrunk

from sniper_mmdet.registry import MODELS


@pytest.fixture(scope='session')
def small(tmp_path_factory, fast_configs):
    """Makes the config and the checkpoint of a tiny detector, by name."""

    def make(name, classes=('disc', 'square', 'triangle', 'ring'), **changes):
        folder = tmp_path_factory.mktemp('small')
        cfg = Config.fromfile(ROOT / f'configs/{name}.py')
        options = {f'model.{key}': v for key, v in changes.items()}
        cfg.merge_from_dict({**shrunk(cfg), **options})
        cfg.dump(folder / 'config.py')
        init_default_scope('mmdet')
        torch.manual_seed(0)
        torch.save(
            dict(
                state_dict=MODELS.build(cfg.model).state_dict(),
                meta=dict(dataset_meta=dict(classes=classes)),
            ),
            folder / 'checkpoint.pth',
        )
        return SimpleNamespace(
            config=str(folder / 'config.py'),
            checkpoint=str(folder / 'checkpoint.pth'),
        )

    return make


@pytest.fixture(scope='session')
def autofocus(small):
    return small(
        'autofocus/faster-rcnn_r18-slim_fpn_autofocus_3e_sample',
        **{
            'focus_head.in_channels': 32,
            'scales': [0.5, 0.75, 1.0],
            'valid_ranges': [(32, None), (16, 80), (0, 64)],
            'focus': [dict(threshold=0, min_size=64)] * 2,
        },
    )


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """Run tools/image_demo.py, or another tool, in this process."""

    def run(*args, tool='image_demo'):
        args = [tool, *args, '--out-dir', 'out', '--device', 'cpu']
        monkeypatch.setattr(sys, 'argv', args)
        path = ROOT / f'tools/{tool}.py'
        try:
            runpy.run_path(str(path), run_name='__main__')
        finally:
            torch.set_flush_denormal(False)

    monkeypatch.chdir(tmp_path)
    return run


@pytest.fixture(scope='session')
def decoupled_files(tiny_scenes, tmp_path_factory):
    """The config and the weights of a tiny detector with a decoupled head."""
    folder = tmp_path_factory.mktemp('decoupled')
    config = write_config(folder / 'tiny.py', tiny_scenes)
    return config, write_checkpoint(config, folder / 'tiny.pth')


@pytest.fixture
def model():
    return SpotDetector()


@pytest.fixture
def folder(tmp_path):
    """Three images, in natural order with a spot at 10, 20 and 30."""
    folder = tmp_path / 'in'
    (folder / 'sub').mkdir(parents=True)
    for name, left in (('2.png', 10), ('10.PNG', 20), ('sub/1.png', 30)):
        cv2.imwrite(str(folder / name), spot(left))
    (folder / '._2.png').write_bytes(b'of a Mac')
    (folder / 'notes.txt').write_text('no image')
    return folder


@pytest.fixture
def video(tmp_path):
    """Five frames with a spot that moves 8 pixels a frame."""
    path = tmp_path / 'clip.avi'
    codec = cv2.VideoWriter_fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(path), codec, 12.5, (96, 64))
    for frame in range(5):
        writer.write(spot(8 * frame, 16, (64, 96)))
    writer.release()
    return path


@pytest.fixture
def scenes(tiny_scenes, tmp_path):
    """Four scenes of one size, in a folder."""
    folder = tmp_path / 'scenes'
    folder.mkdir()
    for path in sorted(tiny_scenes.glob('images/*'))[:3]:
        image = cv2.imread(str(path))[:200, :200]
        cv2.imwrite(str(folder / f'{path.stem}.png'), image)
    return folder
