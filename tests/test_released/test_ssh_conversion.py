"""Files of Caffe become checkpoints of SSH's configs."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from caffe_files import field, old_blob, old_layer, write_caffemodel
from ssh_parity import FOLDERS, options
from tiny import ROOT, cli

from sniper_mmdet.models import PlainVGG
from sniper_mmdet.released import ssh
from sniper_mmdet.released.conversion import convert_file, convert_released
from sniper_mmdet.released.weights import MismatchError

CONFIG = ROOT / 'configs/ssh/ssh_vgg16_13e_wider-face.py'
HERE = FOLDERS['here']
pytestmark = pytest.mark.usefixtures('fast_configs')


def test_a_vgg_of_the_old_format_gives_the_backbone(tmp_path):
    """With what its config is told by, and its classifier left out."""
    vgg, layers, expected = PlainVGG(), [field(1, 'VGG')], {}
    for i, stage in enumerate(vgg.stages):
        for j, module in enumerate(stage):
            tensors = module.conv.weight, module.conv.bias
            blobs = [x.detach().numpy() for x in tensors]
            name = f'conv{i + 1}_{j + 1}'
            layers.append(old_layer(name, *map(old_blob, blobs)))
            expected[name] = blobs
    small = np.ones((2, 3), np.float32)
    layers.append(old_layer('fc6', old_blob(small), old_blob(small[0])))
    path, out = tmp_path / 'VGG16.caffemodel', tmp_path / 'VGG16.pth'
    path.write_bytes(b''.join(layers))
    result, config, text = convert_released(path, out, ROOT)
    assert (result, Path(config).name) == ('converted', CONFIG.name), text
    assert text.startswith('26 tensors mapped, 2 unused, ')
    settings = dict(type='Pretrained', checkpoint=str(out))
    pretrained = PlainVGG(init_cfg=settings)
    pretrained.init_weights()
    for key, value in vgg.state_dict().items():
        assert torch.equal(pretrained.state_dict()[key], value)
    state = torch.load(out, weights_only=True)['state_dict']
    state = {k.removeprefix('backbone.'): v for k, v in state.items()}
    assert set(state) == set(vgg.state_dict())
    for key, value in vgg.state_dict().items():
        assert torch.equal(state[key], value)


def test_which_config():
    assert ssh.config_of(
        {'conv1_1.0': (64, 3, 3, 3), 'conv5_3.0': (512, 512, 3, 3)}
    ) == str(CONFIG.relative_to(ROOT))
    small = {'conv1_1.0': (4, 3, 3, 3), 'conv5_3.0': (32, 32, 3, 3)}
    for shapes in ({}, small):
        with pytest.raises(ValueError, match='no config has'):
            ssh.config_of(shapes)


@pytest.fixture
def convert(tmp_path):
    arrays = HERE.weights('slim16')

    def convert(**changes):
        write_caffemodel(tmp_path / 'a.caffemodel', arrays | changes)
        shapes = options(HERE.shapes('slim16'))
        out = tmp_path / 'a.pth'
        return convert_file(tmp_path / 'a.caffemodel', out, CONFIG, shapes)

    return convert


def test_a_snapshot_of_training_is_the_same_detector(convert):
    """Its twins, which mine anchors, are left out; others are not."""
    known = convert()
    twin = {f'm1@ssh_3x3_ohem.{k}': np.ones((1,), np.float32) for k in '01'}
    found = convert(**twin)
    assert found.unused == list(twin) and known.state.keys() == (
        found.state.keys()
    )
    assert all((known.state[k] == v).all() for k, v in found.state.items())
    with pytest.raises(MismatchError, match='m1@ssh_4x4.0 has no place'):
        convert(**{'m1@ssh_4x4.0': np.ones(1, np.float32)})


def test_what_is_wrong_with_weights_is_told(convert):
    bias = np.full(4, np.nan, np.float32)
    with pytest.raises(MismatchError, match='cls_score.1 has numbers'):
        convert(**{'m1@ssh_cls_score.1': bias})
    with pytest.raises(MismatchError, match=r'cls_score.1 is \(5,\), bbox'):
        convert(**{'m1@ssh_cls_score.1': np.ones(5, np.float32)})


def test_the_tools_convert_and_compare(tmp_path, monkeypatch, capsys):
    path, out = tmp_path / 'a.caffemodel', tmp_path / 'a.pth'
    write_caffemodel(path, HERE.weights('slim16'))
    shapes = cli(options(HERE.shapes('slim16')))

    def run(script, *args):
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args), *shapes])
        tool = ROOT / 'tools/model_converters' / script
        runpy.run_path(str(tool), run_name='__main__')
        return capsys.readouterr().out

    text = run('mxnet_to_mmdet.py', path, out, '--config', CONFIG)
    assert '75 tensors mapped, 0 unused, 0 missing.' in text
    assert 'm2@ssh_7x7-1.0 -> neck.ssh_module1.context_module' in text
    odd = tmp_path / 'odd.npz'
    np.savez(
        odd,
        **{'x.data': np.zeros((1, 3, 32, 32), np.float32)},
        **{'x.out.pool6': np.ones((1, 32, 1, 1), np.float32)},
    )
    for case, message in (('x', 'beyond 0.0001: pool6'), ('y', 'case y')):
        with pytest.raises(SystemExit, match=message):
            run('check_parity.py', CONFIG, out, odd, '--case', case)
