"""Every config: named once, listed, built, trained and tested."""

import json
import runpy
import sys
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import yaml
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from open_images import CLASSES
from tiny import ROOT, cli, shrunk
from user_data import user_data

CONFIGS = sorted(
    p.relative_to(ROOT)
    for p in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in p.parts
)
pytestmark = pytest.mark.usefixtures('fast_configs')
each_config = pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)


@contextmanager
def skipped_where_mmdet_cannot():
    """Skip a config that the installed mmdet cannot run, with the reason."""
    try:
        yield
    except (SystemExit, ValueError) as error:
        if 'others need onedl-mmdetection' not in str(error):
            raise
        pytest.skip(str(error))


def test_names_are_unique():
    names = Counter(p.stem for p in CONFIGS)
    assert len(names) > 5 and max(names.values()) == 1


def test_metafiles_list_every_config_once():
    listed, names = [], []
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    for path in index['Import']:
        meta = yaml.safe_load((ROOT / path).read_text())
        collections = {c['Name'] for c in meta['Collections']}
        for model in meta['Models']:
            assert model['In Collection'] in collections
            listed.append(model['Config'])
            names.append((model['Name'], model['Config']))
    assert sorted(set(listed)) == [str(p) for p in CONFIGS]
    assert Counter(names).most_common(1)[0][1] == 1
    metafiles = {
        str(p.relative_to(ROOT))
        for p in (ROOT / 'configs').rglob('metafile.yml')
    }
    assert metafiles == set(index['Import'])


@each_config
def test_model_builds_as_it_is(path):
    cfg = Config.fromfile(ROOT / path)
    init_default_scope(cfg.default_scope)
    cfg.model.backbone.init_cfg = None
    with skipped_where_mmdet_cannot():
        model = MODELS.build(cfg.model)
    data = cfg.train_dataloader.dataset
    while 'dataset' in data or 'datasets' in data:
        data = data.get('dataset') or data.datasets[0]
    # Those of OpenImages are named by its files: the small set's, or all.
    small = path.stem.endswith('openimages-format')
    named = CLASSES if small else range(601)
    classes = DATASETS.get(data.type).METAINFO.get('classes', named)
    detector = getattr(model, 'detector', model)
    heads = {
        head.num_classes
        for name, head in detector.named_modules()
        if name.split('.')[-1] in ('bbox_head', '0')
        and hasattr(head, 'num_classes')
    }
    assert heads == {len(classes)}


@pytest.fixture(scope='module')
def user(tmp_path_factory):
    """A folder with tiny data where the configs look for theirs."""

    return user_data(tmp_path_factory.mktemp('user'))


@MODELS.register_module(force=True)
class OneWeight(BaseModel):
    """Only what a schedule needs."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, mode):
        return dict(loss=self.weight.sum())


class RecordRate(Hook):
    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, **kwargs):
        self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])


@pytest.mark.parametrize('max_epochs', [7, 3])
def test_rates_of_the_released_schedule(tmp_path, max_epochs):
    cfg = Config.fromfile(ROOT / 'configs/_base_/schedules/sniper_7e.py')
    length = 220
    runner = Runner(
        OneWeight(),
        str(tmp_path),
        train_dataloader=dict(
            batch_size=1,
            dataset=[dict(inputs=torch.ones(1))] * length,
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        train_cfg=dict(cfg.train_cfg, max_epochs=max_epochs),
        optim_wrapper=cfg.optim_wrapper,
        param_scheduler=cfg.param_scheduler,
        default_hooks=dict(logger=None, timer=None, checkpoint=None),
        experiment_name=str(tmp_path),
        log_level='ERROR',
    )
    record = RecordRate()
    runner.register_hook(record)
    runner.train()
    rates = np.array(record.rates)
    assert len(rates) == max_epochs * length
    assert rates[0] == pytest.approx(0.0005)
    assert (np.diff(rates[:1000]) > 0).all()
    drop = int(5.33 * length)
    assert rates[1000:drop] == pytest.approx(0.015)
    assert rates[drop:] == pytest.approx(0.0015)


def train(cfg, path, work_dir, monkeypatch):
    """Two iterations and a validation; all lines of scalars.json."""
    options = {
        **shrunk(cfg),
        'train_dataloader.batch_size': 1,
        'train_dataloader.num_batch_per_epoch': 2,
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1,
        'default_hooks.logger.interval': 1,
        'log_level': 'WARNING',
        'experiment_name': str(work_dir),
        'visualizer.name': str(work_dir),
    }
    if 'epoch_size' in cfg.train_dataloader.sampler:
        options['train_dataloader.sampler.epoch_size'] = 2
    for k in range(len(cfg.model.get('focus', ()))):
        # After two iterations no FocusPixel may be left, and no detection.
        options[f'model.focus.{k}.threshold'] = 0
    monkeypatch.setattr(
        sys,
        'argv',
        [
            'train.py',
            str(path),
            '--work-dir',
            str(work_dir),
            *cli(options),
        ],
    )
    runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
    assert (work_dir / 'epoch_1.pth').exists()
    lines = [
        json.loads(line)
        for file in work_dir.rglob('scalars.json')
        for line in file.read_text().splitlines()
    ]
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert len(losses) == 2 and np.isfinite(losses).all()
    return lines


@each_config
def test_trains_and_tests(path, user, tmp_path, monkeypatch):
    monkeypatch.chdir(user)
    cfg = Config.fromfile(ROOT / path)
    with skipped_where_mmdet_cannot():
        lines = train(cfg, ROOT / path, tmp_path, monkeypatch)
    metrics = {
        'voc0712': 'pascal_voc/mAP',
        'wider-face': 'wider/AP_easy',
        'openimages': 'openimages/mAP',
        'openimages-format': 'openimages/mAP',
    }
    data = path.stem.rpartition('_')[2]
    metric = metrics.get(data, 'coco/bbox_mAP')
    assert any(metric in line for line in lines)


@pytest.mark.parametrize(
    'name',
    [
        'faster-rcnn_r50_fpn_sniper_7e_coco',
        'faster-rcnn_r101-dcn_c4c5_sniper_7e_voc0712',
        'faster-rcnn_mobilenetv2_sniper_7e_coco',
        'faster-rcnn_r18-slim_fpn_sniper_6e_bccd',
    ],
)
def test_an_rpn_alone(name, user, tmp_path, monkeypatch):
    """By the delta that configs/sniper/README.md shows."""
    monkeypatch.chdir(user)
    page = (ROOT / 'configs/sniper/README.md').read_text()
    text = page.split('# configs/sniper/rpn.py\n')[1].split('```')[0]
    assert "'./faster-rcnn_r50_fpn_sniper_7e_coco.py'" in text
    path = tmp_path / 'rpn.py'
    path.write_text(
        text.replace(
            './faster-rcnn_r50_fpn_sniper_7e_coco',
            f'{ROOT}/configs/sniper/{name}',
        )
    )
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    lines = train(cfg, path, tmp_path, monkeypatch)
    assert any('proposals/AR' in line for line in lines)
    cfg.model.backbone.init_cfg = None
    assert type(MODELS.build(cfg.model).detector).__name__ == 'RPN'
    assert cfg.train_cfg.max_epochs == cfg.train_cfg.val_interval == 2
    # Whatever the detector is evaluated by.
    assert (
        cfg.val_evaluator
        == cfg.test_evaluator
        == dict(type='sniper_mmdet.ProposalRecallMetric')
    )
