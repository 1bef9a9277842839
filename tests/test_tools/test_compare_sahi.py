"""AutoFocus beside sliced inference by sahi, on tiny scenes."""

import functools
import json
import sys

import pytest
import torch
from mmdet.structures import DetDataSample
from test_autofocus_tools import CONFIG, OPTIONS
from tiny import SAMPLE_CONFIG, cli, sample_options

from sniper_mmdet.apis import load_autofocus, reference_ways
from sniper_mmdet.apis.sahi import (
    default_settings,
    plain_config,
    sahi_model,
    sahi_way,
)
from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.datasets import SampleDataset
from sniper_mmdet.engine.build import load_config
from sniper_mmdet.registry import MODELS

TOOL = 'analysis_tools/compare_sahi.py'
pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Random weights of an AutoFocus detector, far enough from 0 to matter."""
    cfg = load_config(str(CONFIG), OPTIONS)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for name, weight in model.named_parameters():
        if 'fc_cls.weight' in name or 'rpn_cls.weight' in name:
            torch.nn.init.normal_(weight)
    path = tmp_path_factory.mktemp('weights') / 'random.pth'
    meta = dict(dataset_meta=dict(SampleDataset.METAINFO))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return str(path)


@pytest.fixture
def sahi(monkeypatch):
    """The library; its choice of a device is forgotten after the test."""
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES')
    pytest.importorskip('sahi.predict')
    return pytest.importorskip('sahi')


@pytest.fixture
def calls(sahi, monkeypatch):
    """Arguments of each sliced prediction."""
    calls = []

    @functools.wraps(sahi.predict.get_sliced_prediction)
    def recorded(**settings):
        calls.append(settings)
        return recorded.__wrapped__(**settings)

    monkeypatch.setattr(sahi.predict, 'get_sliced_prediction', recorded)
    return calls


def test_without_sahi(tool, monkeypatch):
    monkeypatch.setitem(sys.modules, 'sahi', None)
    with pytest.raises(SystemExit) as stop:
        tool(TOOL, CONFIG, 'none.pth')
    assert 'compare_sahi: sahi cannot be imported' in str(stop.value)
    assert str(stop.value).endswith('pip install sahi')


@pytest.mark.parametrize(
    ('flag', 'value'),
    [
        ('--slice', '0'),
        ('--image-size', '0'),
        ('--overlap', '1'),
        ('--match-threshold', '1.5'),
    ],
)
def test_wrong_flags(tool, capsys, flag, value):
    with pytest.raises(SystemExit) as stop:
        tool(TOOL, CONFIG, 'none.pth', flag, value)
    assert stop.value.code == 2
    assert f'{flag} must be ' in capsys.readouterr().err


def test_beside_autofocus(tool, calls, checkpoint, capsys):
    given = (TOOL, CONFIG, checkpoint, '--image-size', '90')
    also = '--levels', '--pyramid'
    tool(*given, *also, '--num', '1', '--json', *cli(OPTIONS))
    rows = json.loads(capsys.readouterr().out)
    levels = [f'level{k}' for k in range(3)]
    ours = [*levels, 'pyramid', 'autofocus']
    assert list(rows) == [*ours, 'sahi default', 'sahi tuned']
    for row in rows.values():
        sizes = ['AP_S', 'AP_M', 'AP_L']
        assert list(row) == ['AP', 'AP50', *sizes, 'seconds']
        assert row['seconds'] > 0
    default, tuned = calls[-2:]
    for settings in default, tuned:
        assert settings['detection_model'].confidence_threshold == 0.001
        assert settings['perform_standard_pred']
        assert settings['overlap_width_ratio'] == 0.2
        assert settings['postprocess_match_threshold'] == 0.5
    assert default['slice_height'] == default['slice_width'] == 512
    assert default['postprocess_type'] == 'GREEDYNMM'
    assert default['postprocess_match_metric'] == 'IOS'
    assert not default['force_postprocess_type']
    assert tuned['slice_height'] == tuned['slice_width'] == 90
    assert tuned['postprocess_type'] == 'NMS'
    assert tuned['postprocess_match_metric'] == 'IOU'
    scales = [
        settings['detection_model'].model.pipeline.transforms[1].scale
        for settings in (default, tuned)
    ]
    assert scales == [(1333, 800), (90, 90)]

    flags = '--slice 130 --overlap 0 --no-whole --postprocess NMM'.split()
    flags += '--match-metric IOS --match-threshold 0.6 --num 1'.split()
    tool(*given, *flags, *cli(OPTIONS))
    lines = capsys.readouterr().out.splitlines()
    assert [line[:18].strip() for line in lines[1:]] == list(rows)[
        len(ours) - 1 :
    ]
    tuned = calls[-1]
    assert tuned['slice_height'] == tuned['slice_width'] == 130
    assert tuned['overlap_height_ratio'] == tuned['overlap_width_ratio'] == 0
    assert not tuned['perform_standard_pred']
    assert tuned['postprocess_type'] == 'NMM'
    assert tuned['postprocess_match_metric'] == 'IOS'
    assert tuned['postprocess_match_threshold'] == 0.6
    assert tuned['force_postprocess_type']


def test_finest_level_sizes_the_slices(tool, calls, checkpoint):
    finest = {'model.scales': [0.25, 0.5, 0.75]}
    tool(
        *(TOOL, CONFIG, checkpoint, '--image-size', '90', '--num', '1'),
        *cli({**OPTIONS, **finest}),
    )
    assert calls[-1]['slice_height'] == calls[-1]['slice_width'] == 120


def test_network_sees_what_the_detector_sees(sahi, checkpoint):
    cfg = load_config(str(CONFIG), OPTIONS)
    model = load_autofocus(cfg, checkpoint)
    plain = plain_config(cfg, model)
    assert plain.model.type == 'FasterRCNN'
    assert not {'scales', 'focus_head', 'detector'} & set(plain.model)
    settings = dict(
        default_settings(sahi),
        force_postprocess_type=True,
        postprocess_match_threshold=1.1,  # nothing is merged
    )
    way = sahi_way(sahi, sahi_model(sahi, plain, checkpoint), settings)
    model.pyramid = ImagePyramid([(800, 1333)])
    bare = reference_ways(model)['level0']

    generator = torch.Generator().manual_seed(0)
    image = torch.randint(
        256, (3, 200, 260), generator=generator, dtype=torch.uint8
    )
    image[0] //= 4  # colours matter
    ours, theirs, swapped = (
        run([pixels], [DetDataSample()])[0].pred_instances
        for run, pixels in (
            (bare, image),
            (way, image),
            (way, image.flip(0)),
        )
    )
    assert len(ours) == len(theirs) == 20
    order = theirs.scores.argsort(descending=True, stable=True)
    theirs = theirs[order]
    torch.testing.assert_close(theirs.scores, ours.scores.cpu())
    torch.testing.assert_close(theirs.labels, ours.labels.cpu())
    torch.testing.assert_close(theirs.bboxes, ours.bboxes.cpu())
    assert len(swapped) != len(ours) or not torch.allclose(
        swapped.scores.sort(descending=True)[0], ours.scores.cpu(), atol=1e-3
    )


@pytest.mark.parametrize(
    ('config', 'options', 'message'),
    [
        (SAMPLE_CONFIG, {}, 'model.type must be sniper_mmdet.AutoFocus'),
        (
            CONFIG,
            {'test_evaluator.0.type': 'VOCMetric'},
            'must be a CocoMetric. Received: VOCMetric.',
        ),
    ],
)
def test_wrong_configs(tool, sahi, checkpoint, config, options, message):
    kept = sample_options() if config == SAMPLE_CONFIG else OPTIONS
    with pytest.raises(SystemExit) as stop:
        tool(TOOL, config, checkpoint, *cli({**kept, **options}))
    assert message in str(stop.value)
