"""A focus head for a trained detector, by one command."""

import json
import os
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from tiny import SAMPLE_CONFIG, plain_detector, sample_options

from sniper_mmdet.fitting.report import what_it_gains
from sniper_mmdet.registry import MODELS

pytestmark = pytest.mark.usefixtures('fast_configs')

TOOL = 'misc/add_focus.py'
CLASSES = ('disc', 'square', 'triangle')
BASES = [
    f'mmdet::_base_/{name}.py'
    for name in (
        'datasets/coco_detection',
        'schedules/schedule_1x',
        'default_runtime',
    )
]
SHORT = '--iters', 4, '--num', 1, '--tune-on', 0


def plain_config(name):
    """A config of mmdet, of a detector that is trained on the scenes."""
    cfg = Config.fromstring(f'_base_ = {BASES}', '.py')
    cfg.model = plain_detector(name)
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        if split != 'train':
            loader.dataset.pipeline[1].scale = (520, 400)  # twice as large
        loader.dataset.update(
            data_root='data/sample/',
            ann_file=f'{split.replace("test", "val")}.json',
            data_prefix=dict(img='images/'),
            metainfo=dict(classes=CLASSES),
        )
    for split in ('val', 'test'):
        cfg[f'{split}_evaluator'].ann_file = 'data/sample/val.json'
    return cfg


def pyramid_config():
    cfg = Config.fromfile(SAMPLE_CONFIG)
    cfg.merge_from_dict(sample_options(**{'model.scales': [1.0, 2.0]}))
    # Larger than some of the images at some of the levels.
    pad = dict(type='BatchFixedSizePad', size=(384, 384))
    cfg.model.data_preprocessor.batch_augments = [pad]
    return cfg


def checkpoint_of(cfg, path='trained.pth'):
    """Weights as a training saves them; all differ from first values."""
    init_default_scope('mmdet')
    torch.manual_seed(1)
    weights = MODELS.build(cfg.model).state_dict()
    for value in weights.values():
        if value.is_floating_point():
            value.add_(0.01 * torch.rand_like(value))
    meta = dict(dataset_meta=dict(classes=CLASSES))
    torch.save(dict(state_dict=weights, meta=meta), path)
    return path


@pytest.fixture
def user(here):
    """Write a config and the weights of its detector."""

    def write(cfg, weights=None):
        cfg.dump('mine.py')
        return 'mine.py', checkpoint_of(weights or cfg)

    return write


def refused(capsys, tool, *args):
    with pytest.raises(SystemExit) as stop:
        tool(TOOL, *args)
    text = str(stop.value)
    return capsys.readouterr().err if text == '2' else text


def rows_of(capsys):
    """The table, as JSON."""
    text = capsys.readouterr().out
    return json.loads(text[text.index('{\n') :])


@pytest.mark.parametrize('name', ['retinanet', 'pyramid'])
def test_the_detector_stays_and_has_a_focus_head(name, user, tool, capsys):
    cfg = pyramid_config() if name == 'pyramid' else plain_config(name)
    config, checkpoint = user(cfg)
    tool(TOOL, config, checkpoint, '--out-dir', 'out', '--json', *SHORT)
    rows = rows_of(capsys)
    assert [*rows][:3] == ['level0', 'level1', 'pyramid']
    assert 0 < rows['ground truth']['share'] < rows['pyramid']['share'] == 1
    before = torch.load(checkpoint)['state_dict']
    after = torch.load('out/mine_autofocus.pth')['state_dict']
    for key, value in before.items():
        assert torch.equal(value, after[key]), key
    added = set(after) - set(before)
    assert added and all(key.startswith('focus_head.') for key in added)
    written = Config.fromfile('out/mine_autofocus.py')
    assert written.model.type == 'sniper_mmdet.AutoFocus'
    assert written.model.frozen and len(written.model.scales) == 2
    # Not the neck's: what is learned of few images has to be general.
    assert written.model.features == 'backbone'
    # As nothing is tuned, a budget decides.
    share = written.model.budget
    assert 0 < rows[f'budget {share:g}']['share'] <= share < 1
    # An image without objects, whose loss is large, undoes nothing.
    layer = torch.nn.Linear(1, 1)
    steps = build_optim_wrapper(layer, written.optim_wrapper)
    steps.backward(5000 * layer(torch.ones(1)).sum())
    steps.step()
    assert 1 < layer.weight.grad.abs() < 20
    assert 'CutChip' not in str(written.train_dataloader)
    assert 'Resize' not in str(written.test_dataloader)


def test_what_is_changed_and_tuned_is_in_what_is_written(
    user, tool, monkeypatch, capsys
):
    found = dict(scales=(1.0, 2.0), as_good=(1,), target=(20.0, 60.0))
    found = SimpleNamespace(**found, AP=np.ones((2, 4)))
    chosen = dict(scales=[0.8, 1.6], focus=[dict(threshold=0.25, min_size=32)])
    chosen['budget'] = None
    seen, told = [], []
    adding = 'sniper_mmdet.fitting.adding'
    monkeypatch.setattr(
        f'{adding}.record', lambda *args: seen.append(args) or 'recording'
    )
    monkeypatch.setattr(f'{adding}.study', lambda _: found)
    monkeypatch.setattr(
        f'{adding}.tune',
        lambda *_, **how: told.append(how) or SimpleNamespace(model=chosen),
    )
    config, checkpoint = user(plain_config('retinanet'))
    tool(
        TOOL,
        config,
        checkpoint,
        *('--out-dir', 'out', '--json', '--split', 'train'),
        *(*SHORT[:-1], 3),
        **{'model.test_cfg.max_per_img': 7},
    )
    rows = rows_of(capsys)
    assert 0 < rows['ground truth']['share'] < 1
    assert not any(name.startswith('budget') for name in rows)
    assert told[0]['known'] == 'recording' and told[0]['keep_levels']
    ((model, dataset, factors, indices),) = seen
    assert all(factor == float(f'{factor:.3g}') for factor in factors)
    weights = torch.load(checkpoint)['state_dict']
    assert torch.equal(
        model.state_dict()['neck.fpn_convs.0.conv.weight'],
        weights['neck.fpn_convs.0.conv.weight'],
    )
    assert len(dataset) == 6 and indices == [0, 2, 5]
    written = Config.fromfile('out/mine_autofocus.py').model
    assert written.max_per_img == 7
    assert written.scales == [0.8, 1.6]
    assert written.focus == chosen['focus']
    # The written config is trained again, by itself, as any other.
    tool(
        'train.py',
        'out/mine_autofocus.py',
        *('--work-dir', 'again'),
        **{'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2},
    )


def test_what_is_gained_and_what_to_do_next(user, tool, capsys):
    given = *user(plain_config('retinanet')), '--out-dir', 'out'
    tool(TOOL, *given, *SHORT)
    out, err = capsys.readouterr()
    heads = re.findall(r'^(\S[\w .]*?)  ', out, re.MULTILINE)
    assert [head for head in heads if not head.startswith('level')] == [
        'whole pyramid',
        'AutoFocus',
        'ground truth',
    ]
    assert re.search('AutoFocus looks at .*% of the pixels of the pyr', out)
    for tool_ in ('image_demo', 'tune'):
        assert f'{tool_}.py' in out
    steps = re.findall(r'==> \[(\d)/5\]', err)
    assert steps == ['1', '2', '3', '4', '5']
    assert err.count('is skipped') == 2  # nothing is measured or tuned
    assert 'On 1 test image(s) that were not used' in out
    # In %, as in all tables.
    assert re.search(r'^whole pyramid +\d+\.\d +.*100\.0%', out, re.MULTILINE)
    # Training reports its loss; the config and COCO's blocks are not shown.
    shown = out + err
    assert 'loss' in shown and 'Average Precision' not in shown
    assert 'bbox_mAP' not in shown
    assert '_base_' not in shown and 'train_pipeline' not in shown


@pytest.mark.parametrize(
    'share, sentence', [(0.2, r'4\.0 times as fast'), (0.9, 'does not pay')]
)
def test_whether_it_pays(share, sentence):
    whole = dict(AP=0.5, share=1.0, seconds=4.0)
    own = dict(AP=0.497, share=share, seconds=4.0 if share > 0.5 else 1.0)
    text = what_it_gains(whole, own, dict(AP=0.48))
    assert f'looks at {share:.0%} of the pixels' in text and '-0.3 AP' in text
    assert re.search(sentence, text) and 'ground truth' not in text
    text = what_it_gains(whole, own, dict(AP=0.3))
    assert "'ground truth' is far below" in text


def test_it_pays_by_what_was_measured():
    whole = dict(AP=0.5, share=1.0, seconds=4.0)
    half = dict(AP=0.51, share=0.52, seconds=2.2)
    text = what_it_gains(whole, half, dict(AP=0.51))
    assert text.endswith('is 1.8 times as fast, and has +1.0 AP.')
    blind = dict(AP=0.2, share=0.3, seconds=1.0)
    text = what_it_gains(whole, blind, dict(AP=0.51))
    assert text.endswith('or a larger model.budget.') and 'misses' in text


def test_a_detector_that_finds_nothing(user, tool, capsys):
    given = *user(plain_config('retinanet')), '--out-dir', 'out'
    text = refused(capsys, tool, *given, '--tune-on', 1)
    assert 'trained.pth finds nothing at any level of 1 images' in text
    assert not os.listdir('out')  # ready for another attempt
    options = '--cfg-options', 'model.test_cfg.nms.iou_threshold=0.4'
    assert 'finds nothing' in refused(
        capsys, tool, *given, '--tune-on', 1, *options
    )
    assert not os.listdir('out')


def test_weights_with_a_focus_head(user, tool, capsys):
    config, checkpoint = user(plain_config('retinanet'))
    content = torch.load(checkpoint, weights_only=False)
    content['state_dict']['focus_head.bias'] = torch.zeros(2)
    torch.save(content, checkpoint)
    text = refused(capsys, tool, config, checkpoint, '--out-dir', 'out')
    assert 'trained.pth has a focus head already: tune.py chooses' in text
    assert not os.path.exists('out')


def test_weights_of_another_detector(user, tool, capsys):
    cfg, other = plain_config('retinanet'), plain_config('faster-rcnn')
    given = *user(cfg, other), '--out-dir', 'out'
    text = refused(capsys, tool, *given)
    assert re.fullmatch(
        'add_focus: trained.pth (is of another|lacks .* weights).*', text
    )


@pytest.mark.parametrize(
    'part, sentence',
    [
        ('evaluator', 'the first test_evaluator must be a CocoMetric'),
        ('dataloader', r'_autofocus\.py must have a test_dataloader'),
    ],
)
def test_a_config_that_measures_nothing(user, tool, capsys, part, sentence):
    cfg = plain_config('retinanet')
    for split in ('val', 'test'):
        cfg[f'{split}_{part}'] = None
    given = *user(cfg), '--out-dir', 'out'
    text = refused(capsys, tool, *given, *SHORT, '--factor', 2)
    assert re.search(sentence, text)
    assert not os.path.exists('out/training')


def test_a_folder_that_holds_something(here, tool, capsys):
    text = refused(capsys, tool, 'a.py', 'b.pth', '--out-dir', 'data')
    assert '--out-dir must be new or empty. Received: data.' in text


def test_a_detector_without_maps_for_a_focus_head(user, tool, capsys):
    cfg = plain_config('retinanet')
    cfg.model.backbone.out_indices = (3,)
    neck = cfg.model.neck
    neck.update(in_channels=neck.in_channels[3:], start_level=0, num_outs=2)
    cfg.model.bbox_head.anchor_generator.strides = [32, 64]
    text = refused(capsys, tool, *user(cfg), '--out-dir', 'out')
    assert text == (
        'add_focus: a focus head needs a feature map of stride 4, 8 or 16. '
        'Received: strides [32, 64].'
    )


def test_data_without_boxes(user, tool, capsys, here):
    with open('data/sample/train.json') as file:
        found = json.load(file)
    with open('empty.json', 'w') as file:
        json.dump(dict(found, annotations=[]), file)
    cfg = plain_config('retinanet')
    cfg.train_dataloader.dataset.ann_file = str(here / 'empty.json')
    text = refused(capsys, tool, *user(cfg), '--out-dir', 'out')
    assert text.startswith('add_focus: the dataset ') and 'box' in text


def test_a_detector_with_a_focus_head_already(user, tool, capsys):
    cfg = plain_config('retinanet')
    config, checkpoint = user(cfg)
    cfg.model = dict(type='sniper_mmdet.AutoFocus', detector=cfg.model)
    cfg.dump(config)
    text = refused(capsys, tool, config, checkpoint, '--out-dir', 'out')
    assert text == (
        "add_focus: the config's model is AutoFocus already. To tune it by "
        'tools/analysis_tools/tune.py needs no training.'
    )
