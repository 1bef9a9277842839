"""Weights that fit a detector, and what is said of those that do not."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import plain_detector

from sniper_mmdet.engine import checkpoints
from sniper_mmdet.engine.checkpoints import (
    load_detector,
    load_weights,
    without_pretrained,
)
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.registry import MODELS

pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture(scope='module')
def cfg():
    model = dict(
        type='sniper_mmdet.PyramidDetector',
        detector=plain_detector('faster-rcnn'),
        scales=[1.0],
    )
    return Config(dict(model=model))


@pytest.fixture(scope='module')
def model(cfg):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg.model)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def save(path, state, **changes):
    torch.save(dict(state_dict={**state, **changes}), path)
    return path


def test_weights_of_a_distributed_model(cfg, model, tmp_path):
    state = {f'module.{k}': v for k, v in model.state_dict().items()}
    path = save(tmp_path / 'ddp.pth', state)
    found = load_detector(cfg, path, PyramidDetector).state_dict()
    assert all(torch.equal(found[k], v) for k, v in model.state_dict().items())


def test_weights_that_have_no_place(cfg, model, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        checkpoints, 'print_log', lambda text, *_: said.append(text)
    )
    extra = {'focus_head.out.bias': torch.zeros(2)}
    path = save(tmp_path / 'more.pth', model.state_dict(), **extra)
    load_detector(cfg, path, PyramidDetector)
    assert 'does not have detector.focus_head.out.bias' in said[0]
    with pytest.raises(ValueError, match='not have .*focus_head.out.bias'):
        load_detector(cfg, path, PyramidDetector, strict=True)


def test_weights_that_are_missing(cfg, model, tmp_path):
    state = model.state_dict()
    kept = {k: v for k, v in state.items() if not k.startswith('roi_head.')}
    path = save(tmp_path / 'rpn.pth', kept)
    with pytest.raises(ValueError, match='lacks .* the first is .*roi_head'):
        load_weights(model, path)
    load_detector(cfg, path, PyramidDetector, proposals_only=True)


def test_no_checkpoint(model, tmp_path):
    with pytest.raises(FileNotFoundError, match='no.pth'):
        load_weights(model, tmp_path / 'no.pth')
    (tmp_path / 'text.pth').write_text('weights')
    with pytest.raises(ValueError, match='text.pth is not a checkpoint'):
        load_weights(model, tmp_path / 'text.pth')


def test_another_kind(cfg, tmp_path):
    plain = Config(dict(model=cfg.model.detector))
    with pytest.raises(ValueError, match='model.type must be sniper_mmdet.P'):
        load_detector(plain, tmp_path / 'no.pth', PyramidDetector)


def test_pretrained_weights_are_not_asked_for():
    start = dict(type='Pretrained', checkpoint='a://b')
    part = dict(
        init_cfg=start,
        heads=[dict(init_cfg=start, n=1), dict(init_cfg=dict(type='Normal'))],
    )
    assert without_pretrained(part) == dict(
        heads=[dict(n=1), dict(init_cfg=dict(type='Normal'))]
    )
    assert part['init_cfg'] is start
