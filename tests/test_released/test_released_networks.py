"""The released networks give what the original gave, through the converter."""

import json
import runpy
import sys

import numpy as np
import pytest
from mmengine.runner import load_checkpoint
from mxnet_files import write_params
from released import CONFIGS, OUTPUTS, STEPS, shapes_of, weights
from tiny import ROOT

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.registry import MODELS
from sniper_mmdet.released.outputs import released_outputs

TOOLS = ROOT / 'tools/model_converters'
pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture(scope='module')
def expected():
    with np.load(OUTPUTS) as file:
        return dict(file)


@pytest.fixture
def run(monkeypatch):
    def run(script, *args):
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
        runpy.run_path(str(TOOLS / script), run_name='__main__')

    return run


def convert(run, folder, network, shapes):
    """Path of a config, and of the converted weights."""
    config = ROOT / f'configs/{CONFIGS[network]}.py'
    write_params(
        folder / 'net.params',
        {name: weights(name, shape) for name, shape in shapes.items()},
    )
    out = folder / 'net.pth'
    run('mxnet_to_mmdet.py', folder / 'net.params', out, '--config', config)
    (folder / 'net.params').unlink()
    return config, out


@pytest.mark.parametrize('network', CONFIGS)
def test_gives_what_the_original_gives(
    network, expected, run, tmp_path, capsys
):
    shapes = json.loads(str(expected[f'{network}.shapes']))
    config, checkpoint = convert(run, tmp_path, network, shapes)
    counts = f'{len(shapes)} tensors mapped, 0 unused, 0 missing.'
    assert counts in capsys.readouterr().out
    model = MODELS.build(load_config(config).model).eval()
    load_checkpoint(model, str(checkpoint), strict=True)
    found = released_outputs(model, expected['data'], expected['rois'])
    checked = set()
    for key, values in expected.items():
        name = key.removeprefix(f'{network}.')
        if name in (key, 'shapes'):
            continue
        ours = found[name][: len(values), :: STEPS.get(name, 1)]
        size = np.sqrt((values**2).mean())
        error = np.abs(ours - values) / np.maximum(np.abs(values), size)
        assert ours.shape == values.shape and error.max() < 1e-4, name
        checked.add(name)
    assert checked == set(found)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize('network', CONFIGS)
def test_gives_all_that_the_original_gives(
    network, run, shared_data, tmp_path, capsys
):
    parity = shared_data.parent / 'parity'
    shapes = shapes_of(parity / f'{network}.json')
    config, checkpoint = convert(run, tmp_path, network, shapes)
    run('check_parity.py', config, checkpoint, parity / f'{network}.npz')
    assert 'all within 0.0001' in capsys.readouterr().out
