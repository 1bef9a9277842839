"""What a run says of a checkpoint whose weights have another shape."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import (
    DATASETS,
    METRICS,
    MODEL_WRAPPERS,
    MODELS,
    init_default_scope,
)
from tiny import plain_detector
from torch import nn

from sniper_mmdet.engine.build import checked_runner
from sniper_mmdet.engine.checkpoints import MisfitError, require_fit
from sniper_mmdet.engine.hooks import CheckpointFitHook
from sniper_mmdet.registry import MODELS as SNIPER_MODELS


@MODELS.register_module(force=True)
class FitToy(BaseModel):
    def __init__(self, classes):
        super().__init__()
        self.neck = nn.Linear(2, 2)
        self.fc_cls = nn.Linear(2, classes)

    def forward(self, inputs, mode='tensor', **_):
        if mode == 'loss':
            return dict(loss=self.fc_cls(self.neck(torch.stack(inputs))).sum())
        return [0]


@DATASETS.register_module(force=True)
class FitData(BaseDataset):
    METAINFO = dict(classes=('a', 'b'))

    def load_data_list(self):
        return [dict(inputs=torch.ones(2))] * 2


@METRICS.register_module(force=True)
class FitMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return dict(sum=sum(results))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A runner of a detector with two classes, and what it warns of."""

    def build(path, *splits, resume=False, **settings):
        loader = dict(
            dataset=dict(type='FitData'),
            batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
        )
        runner = checked_runner(
            Config(
                dict(
                    settings,
                    model=dict(type='FitToy', classes=2),
                    work_dir=str(tmp_path),
                    train_dataloader=loader,
                    train_cfg=dict(by_epoch=True, max_epochs=1),
                    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
                    val_dataloader=loader,
                    val_evaluator=dict(type='FitMetric'),
                    val_cfg=dict(),
                    test_dataloader=loader,
                    test_evaluator=dict(type='FitMetric'),
                    test_cfg=dict(),
                    load_from=str(path),
                    resume=resume,
                    default_scope='mmengine',
                    experiment_name=tmp_path.name,
                )
            ),
            *splits,
        )
        said = []
        monkeypatch.setattr(runner.logger, 'warning', said.append)
        return runner, said

    return build


def save(path, classes, prefix=''):
    state = FitToy(classes).state_dict()
    state = {prefix + key: value for key, value in state.items()}
    torch.save(dict(state_dict=state, meta=dict(epoch=0, iter=0)), path)
    return path


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_a_training_may_start_from_other_classes(run, tmp_path, prefix):
    path = save(tmp_path / 'a.pth', 3, prefix)
    neck = torch.load(path)['state_dict'][f'{prefix}neck.weight']
    runner, said = run(path)
    started = []
    monitored = runner.model.forward

    def forward(*args, **kwargs):
        started.append(runner.model.neck.weight.detach().clone())
        return monitored(*args, **kwargs)

    runner.model.forward = forward
    runner.train()
    # What fits is taken.
    assert torch.equal(started[0], neck)
    (text,) = (text for text in said if 'do not fit' in text)
    assert text.startswith(f'{path} is of another detector: 2 of its')
    assert 'fc_cls.weight' in text and '[3, 2]' in text and '[2, 2]' in text
    assert '\n' not in text
    # Whatever it began with, it is trained now.
    runner.test()


@pytest.mark.parametrize('way', ['test', 'val'])
def test_a_test_of_other_weights_ends(run, tmp_path, way):
    runner, _ = run(save(tmp_path / 'a.pth', 3))
    with pytest.raises(MisfitError, match='a.pth is of another detector'):
        getattr(runner, way)()


def test_a_run_of_other_weights_is_not_resumed(run, tmp_path):
    runner, _ = run(save(tmp_path / 'a.pth', 3), resume=True)
    with pytest.raises(MisfitError, match='fc_cls.weight'):
        runner.train()


def test_nothing_is_said_of_weights_that_fit(run, tmp_path):
    path = save(tmp_path / 'a.pth', 2)
    for way in ('train', 'test', 'val'):
        runner, said = run(path)
        getattr(runner, way)()
        assert not [text for text in said if 'fit' in text]


def test_a_runner_that_builds_its_detector_when_it_runs(run, tmp_path):
    path = save(tmp_path / 'a.pth', 2)
    runner, said = run(
        path, 'train', 'val', runner_type='FlexibleRunner', env_cfg={}
    )
    assert not isinstance(runner.model, nn.Module)
    runner.train()
    assert runner.iter == 2
    assert not [text for text in said if 'fit' in text]


def test_shares_of_weights_are_not_compared(monkeypatch):
    """As FSDP has them; its wrapper cannot be made in one process."""

    class Sharded(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = FitToy(1)

    monkeypatch.setitem(MODEL_WRAPPERS.module_dict, 'Sharded', Sharded)
    runner = SimpleNamespace(model=Sharded(), cfg={}, _resume=True)
    weights = dict(state_dict=FitToy(2).state_dict())
    CheckpointFitHook().after_load_checkpoint(runner, weights)


def test_a_dino_of_the_zoo_is_explained():
    class Dino(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.ref_point_head = nn.Linear(width, 1)

    with pytest.raises(MisfitError, match='zoo .* mmdet 3.3'):
        require_fit(Dino(4), Dino(2).state_dict(), 'dino.pth')


@pytest.fixture
def frozen():
    """A runner of an AutoFocus whose detector is frozen."""
    model = dict(
        type='sniper_mmdet.AutoFocus',
        detector=plain_detector('retinanet'),
        scales=[0.5, 1.0],
        focus_head=dict(type='sniper_mmdet.FocusHead', in_channels=16),
        frozen=True,
    )
    init_default_scope('mmdet')
    model = SNIPER_MODELS.build(model)
    return SimpleNamespace(model=model, cfg={}, _resume=False)


def test_a_frozen_detector_needs_a_checkpoint(frozen):
    hook = CheckpointFitHook()
    with pytest.raises(ValueError, match='load_from must be its checkpoint'):
        hook.before_train(frozen)
    weights = frozen.model.detector.state_dict()
    hook.after_load_checkpoint(frozen, dict(state_dict=weights))
    hook.before_train(frozen)


@pytest.mark.parametrize(
    'value, sentence',
    [(torch.ones(3), 'is of another detector'), (None, 'lacks 1 weights')],
)
def test_a_frozen_detector_is_wholly_of_its_checkpoint(
    frozen, value, sentence
):
    weights = frozen.model.detector.state_dict()
    del weights['backbone.conv1.weight']
    if value is not None:
        weights['backbone.conv1.weight'] = value
    with pytest.raises(ValueError, match=sentence):
        CheckpointFitHook().after_load_checkpoint(
            frozen, dict(state_dict=weights)
        )
