"""AutoFocus tuned by the tool on tiny scenes."""

import json
import re

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from test_autofocus_tools import CONFIG, OPTIONS
from tiny import SAMPLE_CONFIG, cli, sample_options

from sniper_mmdet.registry import MODELS

TUNE = 'analysis_tools/tune.py'
pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture
def checkpoint(here):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(OPTIONS)
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), 'random.pth')
    return 'random.pth'


@pytest.mark.parametrize(
    'wish',
    [
        (),
        ('--budget', '0.5'),
        ('--split', 'train', '--num', '2'),
        ('--keep-levels',),
        ('--keep-levels', '--split', 'train', '--num', '2'),
    ],
)
def test_tuned(tool, checkpoint, capsys, here, wish, monkeypatch):
    monkeypatch.setattr('sniper_mmdet.fitting.tuner.FEW', 1)
    if {'--keep-levels', 'train'} <= {*wish}:
        # Ranges that suit training images are not even looked for.
        monkeypatch.setattr('sniper_mmdet.fitting.tuner.best_pyramid', None)
    config = here / 'own.py'
    Config.fromfile(CONFIG).dump(config)
    out = ['--config-out', 'mine.py', '--out', 'curve', '--json']
    capsys.readouterr()
    tool(TUNE, config, checkpoint, *wish, *out, *cli(OPTIONS))
    result = json.loads(capsys.readouterr().out)
    assert cv2.imread('curve.png') is not None
    rows = result['rows']
    assert list(rows) == [
        'expected',
        'confirmed',
        'measured',
        'pyramid',
        'before',
        'pyramid before',
    ]
    assert all(0 < row['share'] <= 1 for row in rows.values())
    assert rows['pyramid']['share'] == 1 and rows['pyramid']['loss'] == 0
    assert result['tried'] > 20
    if '--budget' in wish:
        assert rows['expected']['share'] <= 0.5
    if '--keep-levels' in wish:
        assert result['model']['scales'] == OPTIONS['model.scales']
        assert result['study']['scales'] == OPTIONS['model.scales']
    written = Config.fromfile('mine.py')
    assert written.model.scales == result['model']['scales']
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(OPTIONS)
    cfg.model.update(written.model.to_dict(), focus_head=cfg.model.focus_head)
    for key, value in result['model'].items():
        assert json.loads(json.dumps(written.model[key])) == value
    model = MODELS.build(dict(cfg.model, **result['model']))
    assert len(model.pyramid) == len(model.focus) + 1


def test_the_table(tool, checkpoint, capsys):
    tool(TUNE, CONFIG, checkpoint, '--num', '1', *cli(OPTIONS))
    text = capsys.readouterr().out
    assert 'The detector finds objects of' in text
    assert 'settings were simulated in' in text
    assert 'measured' in text and 'lowered by a factor of 0.5' in text
    # Chance would choose levels of so few objects.
    assert re.search(
        r'have \d+ objects: levels, ranges and dilation are those', text
    )
    levels = re.findall(r'^level (\S+) ', text, re.MULTILINE)
    assert [*map(float, levels)] == OPTIONS['model.scales']


@pytest.mark.parametrize(
    'wish, sentence',
    [
        (('--budget', '0'), 'above 0 and up to 1; .* Received: 0.0'),
        (('--budget', '1.5'), 'above 0 and up to 1; .* Received: 1.5'),
        (('--budget', '0.01'), 'the budget must be at least 0.*: 0.01'),
        (('--loss', '-1'), '--loss must be at least 0. Received: -1'),
        (('--config-out', 'a.txt'), '--config-out must be a .py file'),
        (('--config-out', CONFIG), '--config-out must be another file'),
        (('--config-out', 'no/a.py'), 'in a folder that exists'),
    ],
)
def test_a_wish_that_cannot_be(tool, checkpoint, capsys, wish, sentence):
    with pytest.raises(SystemExit) as stop:
        tool(TUNE, CONFIG, checkpoint, *wish, '--num', '1', *cli(OPTIONS))
    told = capsys.readouterr().err + str(stop.value)
    assert re.search(sentence, told)


@pytest.mark.parametrize(
    'options, sentence',
    [
        (
            {
                'model.scales': [1.0],
                'model.valid_ranges': [(0, None)],
                'model.focus': [],
            },
            'model.scales must be two levels or more',
        ),
        ({'test_evaluator.0.type': 'VOCMetric'}, 'must be a CocoMetric'),
        ({'model.focus_head.feat_channels': 5}, 'is of another detector'),
    ],
)
def test_a_config_that_cannot_be_tuned(tool, checkpoint, options, sentence):
    with pytest.raises(SystemExit, match=sentence):
        tool(TUNE, CONFIG, checkpoint, *cli({**OPTIONS, **options}))


def test_another_detector(tool, checkpoint):
    with pytest.raises(SystemExit, match='must be sniper_mmdet.AutoFocus'):
        tool(TUNE, SAMPLE_CONFIG, checkpoint, *cli(sample_options()))


def test_a_detector_without_its_focus_head(tool, checkpoint):
    held = torch.load(checkpoint)['state_dict']
    held = {k: v for k, v in held.items() if not k.startswith('focus_head.')}
    torch.save(dict(state_dict=held), 'plain.pth')
    told = r'plain.pth has no focus head: tools/misc/add_focus.py adds one'
    with pytest.raises(SystemExit, match=told):
        tool(TUNE, CONFIG, 'plain.pth', *cli(OPTIONS))


def test_images_without_boxes(tool, checkpoint, here):
    scenes = json.loads((here / 'data/sample/val.json').read_text())
    first = scenes['images'][0]['id']
    scenes['annotations'] = [
        one for one in scenes['annotations'] if one['image_id'] != first
    ]
    path = here / 'val.json'
    path.write_text(json.dumps(scenes))
    options = {
        **OPTIONS,
        'test_dataloader.dataset.ann_file': str(path),
        'test_evaluator.0.ann_file': str(path),
    }
    sentence = 'the images to tune on must have boxes. Received: 1 image'
    with pytest.raises(SystemExit, match=sentence):
        tool(TUNE, CONFIG, checkpoint, *cli(options))
