"""Optimizers, hooks and notes of a config for chips."""

import pytest
from mmengine.optim import build_optim_wrapper

from sniper_mmdet.registry import MODELS
from sniper_mmdet.sniperize.probe import without_weights

pytestmark = pytest.mark.usefixtures('fast_configs')


def test_notes_say_what_was_not_decided(plain):
    cfg, text, notes = plain()
    for told in (
        '--suggest chooses them',
        'max_iters=900 and the learning rate are kept',
        'an iteration is 3 chips of 512x512 px',
        'Batch norm of backbone is trained',
        'num_classes is 80, and the classes of the data are 1',
        'tta_model',
        'BatchSyncRandomResize',
        'no L1 loss',
    ):
        assert told in notes
    head = ' '.join(text.split('_base_ =')[0].replace('#', ' ').split())
    assert notes in head.replace(' - ', ' ')
    assert [hook.type for hook in cfg.custom_hooks] == [
        'sniper_mmdet.ChipMiningHook',
        'EMAHook',
    ]
    assert all(
        len(line) < 80 for line in text.splitlines() if '_base_ =' not in line
    )


def test_rates_by_layer_are_taken_out(plain):
    optim = """
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LearningRateDecayOptimizerConstructor',
    paramwise_cfg=dict(
        decay_rate=0.7, decay_type='layer_wise', num_layers=6,
        norm_decay_mult=0.0),
    optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.05))
model = dict("""
    cfg, _, notes = plain(('\nmodel = dict(', optim))
    assert 'LearningRateDecayOptimizerConstructor, decay_rate' in notes
    assert cfg.optim_wrapper.paramwise_cfg == dict(norm_decay_mult=0.0)
    model = MODELS.build(without_weights(cfg.model))
    optim = build_optim_wrapper(model, cfg.optim_wrapper)
    assert {group['lr'] for group in optim.param_groups} == {0.1}
    assert 'optim_wrapper' not in plain()[1]
