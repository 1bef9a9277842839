"""The files of R-FCN-3000: which are known, and what becomes of them."""

import runpy
import sys

import numpy as np
import pytest
import torch
from mxnet_files import write_params
from released import shapes_of, weights
from rfcn3k_case import CONFIG, CUT_DOWN, NETWORK
from tiny import ROOT, cli, shrunk

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.registry import MODELS
from sniper_mmdet.released import rfcn3k, sniper
from sniper_mmdet.released.tables import tables_of_model, tables_of_names
from sniper_mmdet.released.weights import convert, place_of

pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture
def run(monkeypatch, capsys):
    def run(script, *args):
        """Exit message and what was printed."""
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
        try:
            runpy.run_path(str(ROOT / 'tools' / script), run_name='__main__')
        except SystemExit as stop:
            return str(stop.code), capsys.readouterr().out
        return None, capsys.readouterr().out

    return run


def test_its_config_is_told_by_its_tensors():
    shapes = shapes_of(CUT_DOWN / f'{NETWORK}.json')
    assert tables_of_names(shapes) is rfcn3k
    assert rfcn3k.config_of(shapes) == CONFIG.format('7e')
    r50 = [name for name in shapes if 'stage3_unit' not in name]
    r50 += [f'arg:stage3_unit{k}_conv1_weight' for k in range(1, 7)]
    config = rfcn3k.config_of(dict.fromkeys(r50, ()))
    assert config == CONFIG.format('7e').replace('r101', 'r50')
    with pytest.raises(ValueError, match='no config of R-FCN-3000 has'):
        rfcn3k.config_of({'arg:rfcn_cls_weight': (98, 1024, 1, 1)})
    other = 'configs/sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco.py'
    for path, tables in ((CONFIG.format('demo_7e'), rfcn3k), (other, sniper)):
        options = shrunk(load_config(ROOT / path))
        model = MODELS.build(load_config(ROOT / path, options).model)
        assert tables_of_model(model) is tables


def small():
    """Options of a small network, and a file's tensors of its shapes.

    As in the file, convolutions of stages are of half precision.
    """
    options = shrunk(load_config(ROOT / CONFIG.format('7e')))
    options['model.roi_head.bbox_head.num_classes'] = 4
    options['model.backbone.depth'] = 101
    cfg = load_config(ROOT / CONFIG.format('7e'), options)
    state = MODELS.build(cfg.model).state_dict()
    params = {}
    for name in shapes_of(CUT_DOWN / f'{NETWORK}.json'):
        stem = name.split(':')[1]
        value = weights(name, state[place_of(stem, rfcn3k)].shape)
        half = stem.startswith('stage') and 'bn' not in stem
        params[name] = value.astype(np.float16 if half else np.float32)
    return options, params


def test_converts_half_precision_and_names_shifted_classes(run, tmp_path):
    options, params = small()
    write_params(tmp_path / 'CRCNN-0007.params', params)
    found = []
    for k, flags in enumerate(((), ('--class-shift',))):
        out = tmp_path / f'{k}.pth'
        error, text = run(
            'model_converters/mxnet_to_mmdet.py',
            tmp_path / 'CRCNN-0007.params',
            out,
            *('--config', ROOT / CONFIG.format('7e')),
            *flags,
            *cli({k: v for k, v in options.items() if k.startswith('model')}),
        )
        assert error is None
        assert '530 tensors mapped, 0 unused, 0 missing.' in text
        found.append(torch.load(out, weights_only=True))
    plain, shifted = (one['meta']['dataset_meta']['classes'] for one in found)
    assert plain[:2] == ('0000', '0001') and len(plain) == 3130
    assert shifted[:2] == ('0001', '0002') and shifted[-1] == '0000'
    assert {v.dtype for v in found[0]['state_dict'].values()} == {
        torch.float32
    }
    name = 'stage3_unit7_conv2_weight'
    value = found[0]['state_dict']['backbone.stage3.6.conv2.weight']
    expected = params[f'arg:{name}'].astype(np.float32)
    assert (value.numpy() == expected).all()


def test_a_file_of_another_number_of_classes_does_not_fit():
    shapes = {'roi_head.bbox_head.conv_fine.bias': (3130,)}
    params = {'arg:conv_new_3_bias': np.zeros(600), 'arg:rpn_x': np.zeros(1)}
    with pytest.raises(ValueError, match=r'\(600,\).*\(3130,\)'):
        convert(params, shapes, ['arg:rpn_x'], rfcn3k)


def test_where_the_file_is_to_be_had(run, tmp_path):
    error, _ = run('download_weights.py', 'rfcn3k', '--dest', tmp_path)
    place = tmp_path / rfcn3k.LINKS['detector'][-1]
    assert str(place) in error and 'drive.google.com' in error
    place.parent.mkdir(parents=True)
    write_params(place, {'arg:rfcn_cls_weight': np.zeros((98, 16, 1, 1))})
    error, text = run('download_weights.py', 'rfcn3k', '--dest', tmp_path)
    assert error == '1' and 'no config of R-FCN-3000 has' in text
    assert f'{place}: {place.stat().st_size} bytes, SHA-256' in text
    error, text = run(
        'download_weights.py', 'rfcn3k', '--dest', tmp_path, '--no-convert'
    )
    assert error is None
    error, _ = run(
        *('download_weights.py', 'rfcn3k', '--dest', tmp_path),
        *('--sha256', 64 * '0'),
    )
    assert 'must have the SHA-256' in error
    error, _ = run('download_weights.py', 'rfcn3k', '--url', 'http://a.b')
    assert error == '2'
