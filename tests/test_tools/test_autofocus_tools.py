"""AutoFocus trained, tested and measured by the tools on tiny scenes."""

import json
import sys

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from runs import ONE_EPOCH
from tiny import ROOT, SAMPLE_CONFIG, cli, sample_options

from sniper_mmdet.registry import MODELS

CONFIG = (
    ROOT / 'configs/autofocus/faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py'
)
SCALES = [0.5, 0.75, 1.0]
RANGES = [(32, None), (16, 80), (0, 64)]
OPTIONS = sample_options(
    **{
        'model.focus_head.in_channels': 32,
        'model.scales': SCALES,
        'model.valid_ranges': RANGES,
        'train_dataloader.dataset.scales': SCALES,
        'train_dataloader.dataset.valid_ranges': RANGES,
    }
)
pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture
def checkpoint(tool, here):
    tool('train.py', CONFIG, '--work-dir', 'run', **{**OPTIONS, **ONE_EPOCH})
    lines = [
        json.loads(line)
        for path in here.rglob('scalars.json')
        for line in path.read_text().splitlines()
    ]
    assert any('loss_focus' in line for line in lines)
    assert any('pixels/share_level2' in line for line in lines)
    assert any('pixels/focus_recall' in line for line in lines)
    return 'run/epoch_1.pth'


def test_what_was_looked_at_is_drawn(tool, here):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(OPTIONS)
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), 'random.pth')
    tool(
        'image_demo.py',
        'data/sample/images/val_00000.jpg',
        CONFIG,
        'random.pth',
        '--out-dir',
        'out',
        '--show-focus',
        *cli(OPTIONS),
    )
    image = cv2.imread('data/sample/images/val_00000.jpg')
    picture = cv2.imread('out/focus/val_00000.jpg')
    width = round(image.shape[1] * 480 / image.shape[0])
    assert picture.shape == (502, 3 * width, 3)


def test_focus_of_another_detector(tool, trained):
    with pytest.raises(SystemExit, match='image_demo: .*AutoFocus detector'):
        tool(
            'image_demo.py',
            'data/sample/images/val_00000.jpg',
            SAMPLE_CONFIG,
            trained,
            '--out-dir',
            'out',
            '--show-focus',
            *cli(sample_options()),
        )


def test_measured_beside_the_pyramid(tool, checkpoint, capsys):
    capsys.readouterr()
    tool(
        'analysis_tools/benchmark.py',
        'inference',
        CONFIG,
        checkpoint,
        '--json',
        *cli(OPTIONS),
    )
    result = json.loads(capsys.readouterr().out)
    assert result['autofocus_images'] == result['level0_images'] == 2
    shares = [
        result[f'autofocus_{part}_share']
        for part in ('network', 'pixels', 'chips', 'merge')
    ]
    assert min(shares) >= 0 and 0.3 < sum(shares) <= 1
    assert 0 < result['autofocus_pixel_share'] <= 1
    assert result['autofocus_pixel_share_level0'] == 1
    assert result['time_to_pyramid'] == pytest.approx(
        result['autofocus_seconds'] / result['pyramid_seconds']
    )

    tool(
        'analysis_tools/focus_curve.py',
        CONFIG,
        checkpoint,
        '--factors',
        '0',
        '1',
        '--thresholds',
        '0,2',
        '--budgets',
        '0.5',
        '1',
        '--ground-truth',
        '--out',
        'curve.png',
        '--json',
        *cli(OPTIONS),
    )
    rows = json.loads(capsys.readouterr().out)
    assert list(rows) == [
        'level0',
        'level1',
        'level2',
        'pyramid',
        'thresholds x 0',
        'thresholds x 1',
        'thresholds 0,2',
        'budget 0.5',
        'budget 1',
        'ground truth',
    ]
    everything, whole = rows['thresholds x 0'], rows['pyramid']
    for key in ('AP', 'AP50', 'side', 'share'):
        assert everything[key] == whole[key]
    assert rows['thresholds x 1']['share'] <= 1
    assert rows['budget 0.5']['share'] <= 0.5
    for key in ('AP', 'share'):
        assert rows['budget 1'][key] == rows['thresholds x 1'][key]
    sizes = [rows[f'level{k}']['side'] ** 2 for k in range(3)]
    assert rows['thresholds 0,2']['share'] == pytest.approx(
        sum(sizes[:2]) / sum(sizes)
    )
    assert rows['level0']['side'] < rows['level2']['side'] < whole['side']
    assert cv2.imread('curve.png') is not None


@pytest.mark.skipif(
    not sys.platform.startswith('linux'), reason='needs VmHWM of /proc'
)
@pytest.mark.parametrize('config', [CONFIG, SAMPLE_CONFIG])
def test_memory_of_a_large_image(tool, capsys, config):
    options = OPTIONS if config is CONFIG else sample_options()
    tool(
        *('analysis_tools/benchmark.py', 'memory', config),
        *('--side', '500', '--json'),
        *cli({**options, 'model.max_pixels': 2**17}),
    )
    result = json.loads(capsys.readouterr().out)
    assert result['image_mb'] == 0.75
    assert 0 < result['batch_mb'] <= result['peak_mb']
    assert result['bound_mb'] == result['batch_mb'] + 0.75
    assert ('pixel_share' in result) == (config is CONFIG)


@pytest.mark.parametrize('name', ['focus_curve.py', 'benchmark.py inference'])
def test_another_detector(tool, trained, name):
    name, *command = name.split()
    with pytest.raises(SystemExit) as stop:
        tool(
            f'analysis_tools/{name}',
            *command,
            SAMPLE_CONFIG,
            trained,
            *cli(sample_options()),
        )
    assert 'model.type must be sniper_mmdet.AutoFocus' in str(stop.value)
    assert 'tools/misc/add_focus.py makes it one' in str(stop.value)


def test_a_curve_needs_coco_results(tool):
    options = {**OPTIONS, 'test_evaluator.0.type': 'VOCMetric'}
    with pytest.raises(SystemExit, match='must be a CocoMetric. Received: V'):
        tool('analysis_tools/focus_curve.py', CONFIG, 'no.pth', *cli(options))


def test_a_budget_below_the_coarsest_level(tool):
    options = {**OPTIONS, 'model.budget': 0.1}
    with pytest.raises(SystemExit, match='budget must be at least 0.138: '):
        tool('test.py', CONFIG, 'no.pth', *cli(options))
