"""Runs that are resumed with epochs of another length keep their rates."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner

from sniper_mmdet.engine import ResumeHook
from sniper_mmdet.engine.build import build_runner
from sniper_mmdet.engine.checkpoint_files import CheckpointError

SAMPLES, EPOCHS = 24, 4
IN_EPOCHS = dict(by_epoch=True, convert_to_iter_based=True)
SCHEDULES = {
    'drop': [dict(type='ConstantLR', factor=0.1, begin=2.5, end=10**9)],
    'drop ends': [dict(type='ConstantLR', factor=0.1, begin=1, end=3)],
    'milestones': [dict(type='MultiStepLR', milestones=[1, 3], gamma=0.1)],
    'steps': [dict(type='StepLR', step_size=1, gamma=0.5)],
    'cosine': [dict(type='CosineAnnealingLR', eta_min_ratio=0.02)],
    'part of a cosine': [
        dict(type='CosineAnnealingLR', T_max=3, eta_min=0.1, begin=1, end=4)
    ],
    'restarts': [
        dict(
            type='CosineRestartLR',
            periods=[1, 3],
            restart_weights=[1, 0.5],
            eta_min=0.01,
        )
    ],
    'linear': [dict(type='LinearLR', start_factor=0.1, begin=0, end=3)],
    'polynomial': [dict(type='PolyLR', power=2.0, eta_min=0.01)],
    'one cycle': [dict(type='OneCycleLR', eta_max=2.0, total_steps=4)],
    'exponential': [dict(type='ExponentialLR', gamma=0.9, begin=1, end=3)],
    'several': [
        dict(type='LinearLR', start_factor=0.1, begin=0, end=1),
        dict(type='CosineAnnealingLR', eta_min=0.05, begin=1, end=4),
        dict(type='CosineAnnealingMomentum', eta_min=0.5, begin=0, end=4),
        dict(type='MultiStepLR', milestones=[2], convert_to_iter_based=False),
    ],
}


@MODELS.register_module(force=True)
class OneWeight(BaseModel):
    def __init__(self):
        super().__init__()
        self.one = torch.nn.Linear(1, 1)

    def forward(self, inputs, mode):
        return dict(loss=self.one.weight.sum())


class Rates(Hook):
    """What each iteration is trained with, by its place in epochs."""

    def __init__(self):
        self.seen = {}

    def before_train_iter(self, runner, batch_idx, **kwargs):
        place = runner.epoch + batch_idx / len(runner.train_dataloader)
        assert runner.iter == place * len(runner.train_dataloader)
        (group,) = runner.optim_wrapper.optimizer.param_groups
        momentum = group.get('momentum', group.get('betas'))
        self.seen[place] = np.hstack([group['lr'], momentum])


def run(folder, batch_size, schedule, optimizer='SGD', epochs=EPOCHS, **more):
    momentum = dict(momentum=0.9) if optimizer == 'SGD' else {}
    optimizer = dict(type=optimizer, lr=1.0, **momentum)
    data = [dict(inputs=torch.ones(1)) for _ in range(SAMPLES)]
    runner = Runner(
        OneWeight(),
        str(folder),
        train_dataloader=dict(
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=data,
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=optimizer),
        param_scheduler=schedule,
        log_level='ERROR',
        experiment_name=f'{folder}/{batch_size}/{epochs}',
        **more,
    )
    rates = Rates()
    runner.register_hook(rates)
    runner.register_hook(ResumeHook())
    runner.train()
    return rates.seen


def resumed(folder, before, now, schedule, after=2, **more):
    """Rates of a run with batches of ``now``, resumed after some epochs."""
    run(folder / 'broken', before, schedule, **more)
    path = str(folder / f'broken/epoch_{after}.pth')
    more.update(resume=True, load_from=path)
    return run(folder / 'resumed', now, schedule, **more)


@pytest.mark.parametrize(
    'name, before, now',
    [(name, 2, 4) for name in SCHEDULES]
    + [('drop', 4, 2), ('several', 8, 2), ('several', 3, 8)],
)
def test_rates_are_those_of_an_unbroken_run(name, before, now, tmp_path):
    schedule = [{**IN_EPOCHS, **one} for one in SCHEDULES[name]]
    whole = run(tmp_path / 'whole', now, schedule)
    seen = resumed(tmp_path, before, now, schedule)
    assert list(seen) == [place for place in whole if place >= 2]
    assert len({rate.tobytes() for rate in whole.values()}) > 1
    for place, rate in seen.items():
        np.testing.assert_allclose(rate, whole[place], rtol=1e-9, atol=1e-12)


def test_betas_follow_a_momentum(tmp_path):
    schedule = [
        dict(IN_EPOCHS, type='LinearMomentum', start_factor=0.5, end=4),
    ]
    whole = run(tmp_path / 'whole', 4, schedule, 'AdamW')
    seen = resumed(tmp_path, 2, 4, schedule, optimizer='AdamW')
    np.testing.assert_allclose(seen[3.0], whole[3.0])
    assert whole[2.0][1] < seen[3.0][1] < 0.9


def test_a_warm_up_of_iterations_goes_on(tmp_path):
    """It counts what it has done, not what it would have done."""
    schedule = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=10),
        dict(IN_EPOCHS, type='MultiStepLR', milestones=[3], gamma=0.1),
    ]
    seen = resumed(tmp_path, 4, 12, schedule, after=1)  # after 6 of 10
    rates = [rate[0] for rate in seen.values()]
    assert rates[:4] == pytest.approx([0.7, 0.8, 0.9, 1.0])
    assert rates == pytest.approx([0.7, 0.8, 0.9, 1, 0.1, 0.1])
    # One that is over does not come again.
    seen = resumed(tmp_path / 'later', 2, 12, schedule, after=1)
    assert [r[0] for r in seen.values()] == pytest.approx([1] * 4 + [0.1] * 2)


def test_milestones_in_iterations_stay(tmp_path):
    milestone = [dict(type='MultiStepLR', milestones=[14], by_epoch=False)]
    drop = [dict(IN_EPOCHS, type='ConstantLR', factor=0.5, begin=3, end=4)]
    seen = resumed(tmp_path, 2, 4, milestone + drop, after=1)
    rates = [rate[0] for rate in seen.values()]  # from iteration 12 on
    assert rates[:3] == pytest.approx([1, 1, 0.1])
    assert rates[-2] == pytest.approx(0.05)


def test_nothing_is_moved_that_need_not_be(tmp_path):
    """With epochs of the same length, or schedules in epochs."""
    schedule = [dict(type='MultiStepLR', milestones=[3], gamma=0.1)]
    for now in (2, 4):
        seen = resumed(tmp_path / str(now), 2, now, schedule)
        assert {k // 1: r[0] for k, r in seen.items()} == {
            2: 1.0,
            3: pytest.approx(0.1),
        }
    # The checkpoint's rate counts, as ever in mmengine.
    assert seen[2.0][0] == 1.0


def test_a_schedule_that_follows_the_validation_is_told(tmp_path):
    schedule = [
        dict(type='ReduceOnPlateauLR', monitor='loss'),
        dict(IN_EPOCHS, type='LinearLR', end=3),
    ]
    with pytest.raises(
        CheckpointError,
        match='an epoch has 6 iterations, 12 in .* resume with the batch',
    ):
        resumed(tmp_path, 2, 4, schedule)
    # Alone it is in epochs.
    assert resumed(tmp_path / 'alone', 2, 4, schedule[:1])


def test_every_run_of_the_tools_has_the_hook(tmp_path):
    model = dict(type='OneWeight')
    cfg = dict(model=model, work_dir=str(tmp_path), log_level='ERROR')
    runner = build_runner(Config(dict(cfg, experiment_name=tmp_path.name)))
    assert any(isinstance(hook, ResumeHook) for hook in runner.hooks)
