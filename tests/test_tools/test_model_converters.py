"""What mxnet_to_mmdet.py and check_parity.py say of what they cannot use."""

import json
import re
import runpy
import sys

import numpy as np
import pytest
import torch
from mxnet_files import write_params
from released import CONFIGS, OUTPUTS
from tiny import ROOT

CONFIG = ROOT / f'configs/{CONFIGS["mobilenetv2"]}.py'
pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture(scope='module')
def small():
    """Numbers of MobileNetV2 that are of no matter."""
    with np.load(OUTPUTS) as file:
        shapes = json.loads(str(file['mobilenetv2.shapes']))
    return {
        name: np.full(shape, 0.01, np.float32)
        for name, shape in shapes.items()
    }


@pytest.fixture
def run(monkeypatch, capsys):
    def run(script, *args):
        """Exit message and what was printed."""
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
        path = ROOT / 'tools/model_converters' / script
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as stop:
            out = capsys.readouterr()
            return str(stop.code), out.out + out.err
        return None, capsys.readouterr().out

    return run


def test_converts_and_tells_the_classes(small, run, tmp_path):
    write_params(tmp_path / 'a.params', small)
    out = tmp_path / 'new/a.pth'
    error, text = run(
        'mxnet_to_mmdet.py', tmp_path / 'a.params', out, '--config', CONFIG
    )
    assert error is None and f'wrote {out}' in text
    assert 'arg:rpn_cls_score_weight -> rpn_head.rpn_cls.weight' in text
    checkpoint = torch.load(out, weights_only=True)
    assert checkpoint['meta']['source'] == 'a.params'
    assert checkpoint['meta']['dataset_meta']['classes'][0] == 'person'
    assert [p.name for p in out.parent.iterdir()] == ['a.pth']


def test_a_mismatch_is_reported_tensor_by_tensor(small, run, tmp_path):
    few = {k: v for k, v in small.items() if not k.startswith('arg:fc_new_2')}
    few['arg:odd_weight'] = np.zeros(2, np.float32)
    write_params(tmp_path / 'a.params', few)
    out = tmp_path / 'a.pth'
    error, text = run(
        'mxnet_to_mmdet.py', tmp_path / 'a.params', out, '--config', CONFIG
    )
    assert 'arg:odd_weight has no place' in error
    assert 'shared_fcs.1.weight is missing' in error and '--ignore' in error
    assert 'unused   arg:odd_weight' in text
    assert 'missing  roi_head.bbox_head.shared_fcs.1.bias' in text
    assert not out.exists()
    error, _ = run(
        'mxnet_to_mmdet.py',
        *(tmp_path / 'a.params', out, '--config', CONFIG),
        *('--ignore', 'odd_.*', r'.*shared_fcs\.1\..*'),
    )
    assert error is None and out.exists()


@pytest.mark.parametrize(
    'content, message',
    [
        (None, '^mxnet_to_mmdet: .*No such file or directory: .*a.params'),
        (b'', 'a.params cannot be read: it is empty'),
        (b'<!DOCTYPE html>', 'a.params cannot be read: parameters of MXNet'),
    ],
)
def test_a_file_that_is_none(content, message, run, tmp_path):
    path = tmp_path / 'a.params'
    if content is not None:
        path.write_bytes(content)
    out = tmp_path / 'a.pth'
    error, _ = run('mxnet_to_mmdet.py', path, out, '--config', CONFIG)
    assert re.search(message, error)


@pytest.mark.parametrize(
    'args, message',
    [
        (['a.params', 'a.bin', '--config', CONFIG], 'OUT must be a .pth'),
        (
            ['a.params', 'a.pth', '--config', CONFIG, '--ignore', '('],
            '--ignore takes regular expressions',
        ),
    ],
)
def test_arguments(args, message, run):
    error, text = run('mxnet_to_mmdet.py', *args)
    assert error == '2' and message in text


def test_outputs_that_are_none(small, run, tmp_path):
    write_params(tmp_path / 'a.params', small)
    checkpoint, odd = tmp_path / 'a.pth', tmp_path / 'odd.npz'
    run(
        'mxnet_to_mmdet.py',
        *(tmp_path / 'a.params', checkpoint, '--config', CONFIG),
    )
    odd.write_text('no arrays')
    error, _ = run('check_parity.py', CONFIG, checkpoint, odd)
    assert error == f'check_parity: {odd} is no .npz of arrays.'
    np.savez(odd, rois=np.zeros((1, 5)))
    error, _ = run('check_parity.py', CONFIG, checkpoint, odd)
    assert "must hold data, rois and outputs. Received: ['rois']" in error
    data = np.zeros((1, 3, 64, 64), np.float32)
    rois = np.float32([[0, 0, 0, 31, 31]])
    np.savez(
        odd,
        **{'data': data, 'rois': rois},
        **{'out.bbox_pred_output': np.zeros((1, 4), np.float32)},
        **{'out.mask_out_output': np.zeros((1, 160, 28, 28), np.float32)},
    )
    error, text = run('check_parity.py', CONFIG, checkpoint, odd)
    assert error == 'beyond 0.0001: bbox_pred, mask_out'
    assert '(1, 160, 28, 28) expected, found nothing' in text
    torch.save(dict(state_dict={'a': torch.zeros(1)}), checkpoint)
    error, _ = run('check_parity.py', CONFIG, checkpoint, odd)
    assert f'{checkpoint} lacks ' in error and len(error) < 800
