"""Fresh chips each epoch, in real runs on tiny scenes."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import recorder
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATA_SAMPLERS, MODELS
from mmengine.runner import Runner, loops
from tiny import SAMPLE_CONFIG, sample_options

from sniper_mmdet.datasets import write_proposals
from sniper_mmdet.engine.build import build_runner
from sniper_mmdet.engine.endless_chips import EndlessChips
from sniper_mmdet.engine.hooks import chip_mining_hook

EPOCHS = 3
pytestmark = pytest.mark.usefixtures('fast_configs')


class Stop(Exception):
    pass


class StopAfter(Hook):
    """Saves a checkpoint by iteration and ends the run."""

    priority = 'LOWEST'

    def __init__(self, step):
        self.step = step

    def after_train_iter(self, runner, **kwargs):
        if runner.iter + 1 == self.step:
            runner.save_checkpoint(runner.work_dir, 'stop.pth', by_epoch=False)
            raise Stop


@MODELS.register_module(force=True)
class NoDetector(BaseModel):
    """Only what a runner needs: what a detector learns is of no matter."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples, mode):
        return dict(loss=self.weight.sum())


@pytest.fixture(scope='module')
def scenes(tiny_scenes):
    return tiny_scenes


def config(scenes, work_dir, **options):
    # Logs of a run go where those of its name went.
    name = f'{work_dir}/{len(list(work_dir.iterdir()))}'
    cfg = Config.fromfile(SAMPLE_CONFIG)
    cfg.merge_from_dict(
        sample_options(
            **{
                'work_dir': str(work_dir),
                'experiment_name': name,
                'visualizer.name': name,
                'train_cfg.max_epochs': EPOCHS,
                'log_level': 'WARNING',
                **options,
            }
        )
    )
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        cfg[key] = None
    cfg.model = dict(type='NoDetector')
    data = cfg.train_dataloader.dataset
    data.dataset.data_root = f'{scenes}/'
    data.pipeline[-1].meta_keys = recorder.RecordChips.META_KEYS
    cfg.custom_hooks.append(dict(type='RecordChips'))
    return cfg


@pytest.fixture(scope='module')
def whole(scenes, tmp_path_factory):
    """A run of some epochs, with persistent workers."""
    work_dir = tmp_path_factory.mktemp('whole')
    cfg = config(
        scenes,
        work_dir,
        **{
            'train_dataloader.num_workers': 2,
            'train_dataloader.persistent_workers': True,
        },
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def chips(seen):
    """The chips that an epoch saw, with how often."""
    counts = Counter()
    for _, _, rows in seen:
        for row in map(json.loads, rows):
            chip = row['chip']
            counts[(row['img_id'], chip['level'], *chip['region'])] += 1
    return counts


def mined(dataset, seed, epoch):
    table = dataset.mine(seed, epoch)
    ids = [
        dataset.dataset.get_data_info(int(i))['img_id'] for i in table['image']
    ]
    return [
        (i, int(r['level']), *(float(r[k]) for k in ('x1', 'y1', 'x2', 'y2')))
        for i, r in zip(ids, table, strict=True)
    ]


def test_iterations_are_those_of_the_schedule(whole):
    length = len(whole.train_dataloader)
    seen = recorder.read(whole.work_dir)
    assert length == -(-len(whole.train_dataloader.dataset) // 2) > 5
    assert [step for _, step, _ in seen] == list(range(EPOCHS * length))
    assert [epoch for epoch, _, _ in seen] == [
        k for k in range(EPOCHS) for _ in range(length)
    ]
    assert whole.iter == whole.max_iters == EPOCHS * length
    # The cosine has come to its end with the last iteration.
    cosine = whole.param_schedulers[1]
    assert cosine.end == whole.max_iters == cosine.last_step + 1


def test_epochs_see_the_chips_mined_for_them(whole):
    dataset = whole.train_dataloader.dataset
    samples = len(dataset)
    seen = recorder.read(whole.work_dir)
    tables = [mined(dataset, whole.seed, k) for k in range(EPOCHS)]
    assert any(len(table) != samples for table in tables)
    for epoch, table in enumerate(tables):
        counts = chips(s for s in seen if s[0] == epoch)
        assert counts.total() == samples
        assert set(counts) <= set(table)
        # Each chip once, then again; too many are left out.
        assert len(counts) == min(samples, len(set(table)))
        assert max(counts.values()) <= -(-samples // len(table))
    assert len(set(map(frozenset, tables))) == EPOCHS


def logged(work_dir):
    """All lines of scalars.json, and those of LoggerHook alone."""
    (path,) = Path(work_dir).rglob('scalars.json')
    (own,) = path.parent.glob('2*.json')
    return tuple(
        [json.loads(line) for line in file.read_text().splitlines()]
        for file in (path, own)
    )


def test_what_is_mined_is_logged(whole):
    lines = [line for line in logged(whole.work_dir)[0] if 'loss' not in line]
    dataset = whole.train_dataloader.dataset
    assert len(lines) == EPOCHS
    for epoch, line in enumerate(lines):
        table = dataset.mine(whole.seed, epoch)
        counts = np.bincount(table['level'])
        # Levels are half the image and the image. Rounded to whole pixels,
        # a level is up to half a pixel larger or smaller.
        area = (table['x2'] - table['x1']) * (table['y2'] - table['y1'])
        area = (area * np.array([0.25, 1])[table['level']]).mean()
        assert line == {
            'chips/level0_positive': counts[0],
            'chips/level1_positive': counts[1],
            'chips/image': pytest.approx(len(table) / 6),
            'chips/mpixels': pytest.approx(
                area * len(dataset) / 1e6, rel=0.01
            ),
            'step': epoch + 1,
        }


def test_lines_of_losses_are_as_ever(whole):
    lines, own = logged(whole.work_dir)
    assert [line for line in lines if 'loss' in line] == own
    assert len(own) == EPOCHS * len(whole.train_dataloader)
    for step, line in enumerate(own, start=1):
        assert line['iter'] == line['step'] == step
        assert 1 <= line['epoch'] <= EPOCHS
        assert not [key for key in line if key.startswith('chips/')]


def test_one_process_logs(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(chip_mining_hook, 'is_main_process', lambda: False)
    cfg = config(scenes, tmp_path, **{'train_cfg.max_epochs': 1})
    runner = Runner.from_cfg(cfg)
    runner.train()
    lines, own = logged(tmp_path)
    assert lines == own and len(own) == len(runner.train_dataloader)


def proposals_in_a_corner(scenes, path):
    """Forty boxes in a corner of each training image."""
    coco = json.loads((scenes / 'train.json').read_text())['images']
    boxes = np.zeros((40, 4))
    boxes[:, :2] = np.arange(40)[:, None] % 8
    boxes[:, 2:] = boxes[:, :2] + 20
    write_proposals(
        str(path),
        [f'{img["id"]} {img["file_name"]}' for img in coco],
        np.array([(img['width'], img['height']) for img in coco]),
        [boxes] * len(coco),
        [np.ones(40)] * len(coco),
        {},
    )
    return str(path)


def test_negative_chips_are_logged_by_level(scenes, tmp_path):
    file = proposals_in_a_corner(scenes, tmp_path / 'proposals.npz')
    cfg = config(scenes, tmp_path, **{'train_cfg.max_epochs': 2})
    data = cfg.train_dataloader.dataset
    data.proposals, data.negatives = file, dict(min_proposals=5)
    runner = Runner.from_cfg(cfg)
    runner.train()
    lines = [line for line in logged(tmp_path)[0] if 'loss' not in line]
    for epoch, line in enumerate(lines):
        table = runner.train_dataloader.dataset.mine(runner.seed, epoch)
        for level in (0, 1):
            signs = table['positive'][table['level'] == level]
            assert line[f'chips/level{level}_positive'] == signs.sum()
            assert line[f'chips/level{level}_negative'] == (~signs).sum()
        assert 0 < (~table['positive']).sum() < len(table)


@pytest.mark.parametrize('into_epoch', [0, 3, -1, 'end'])
def test_a_resumed_run_goes_on_with_the_chips_to_come(
    whole, scenes, tmp_path, into_epoch
):
    length = len(whole.train_dataloader)
    stop = length + (length if into_epoch == 'end' else into_epoch % length)
    cfg = config(scenes, tmp_path)
    with pytest.raises(Stop):
        broken = Runner.from_cfg(cfg)
        broken.register_hook(StopAfter(stop))
        broken.train()
    cfg = config(
        scenes, tmp_path, resume=True, load_from=str(tmp_path / 'stop.pth')
    )
    # The seed of the first start counts.
    cfg.randomness.seed = 5
    Runner.from_cfg(cfg).train()
    expected, seen = recorder.read(whole.work_dir), recorder.read(tmp_path)
    assert [s[1:] for s in seen] == [e[1:] for e in expected]


def test_a_resumed_run_may_have_another_batch_size(whole, scenes, tmp_path):
    cfg = config(scenes, tmp_path)
    with pytest.raises(Stop):
        broken = Runner.from_cfg(cfg)
        broken.register_hook(StopAfter(len(whole.train_dataloader) + 4))
        broken.train()
    cfg = config(
        scenes, tmp_path, resume=True, load_from=str(tmp_path / 'stop.pth')
    )
    cfg.train_dataloader.batch_size = 5
    # As of tools/train.py, with the hook for whole images besides.
    runner = build_runner(cfg)
    runner.train()
    # The schedule has come to its end with the last iteration, too.
    assert runner.iter == runner.max_iters == 3 * 4
    cosine = runner.param_schedulers[1]
    assert cosine.end == runner.max_iters == cosine.last_step + 1
    rate = runner.optim_wrapper.get_lr()['lr'][0]
    usual = whole.optim_wrapper.get_lr()['lr'][0]
    assert rate == pytest.approx(usual, rel=0.5) and rate < 1e-4
    one, other = (
        [
            [row for s in recorder.read(work_dir) if s[0] == k for row in s[2]]
            for k in range(EPOCHS)
        ]
        for work_dir in (whole.work_dir, tmp_path)
    )
    assert one == other


class SaveAt(Hook):
    """Saves checkpoints after some iterations."""

    priority = 'LOWEST'

    def __init__(self, steps):
        self.steps = steps

    def after_train_iter(self, runner, **kwargs):
        step = runner.iter + 1
        if step in self.steps:
            name = f'iter_{step}.pth'
            runner.save_checkpoint(runner.work_dir, name, by_epoch=False)


def iterations(cfg, number, batch_size=4):
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=number)
    cfg.train_dataloader.batch_size = batch_size
    return cfg


@pytest.fixture(scope='module')
def endless(scenes, tmp_path_factory):
    """A run of iterations over some epochs, and where it kept checkpoints.

    In the first epoch, at its end, within a later one and at its end.
    """
    work_dir = tmp_path_factory.mktemp('endless')
    cfg = config(scenes, work_dir)
    runner = Runner.from_cfg(iterations(cfg, 15))
    steps = 2, 5, 7, 10
    runner.register_hook(SaveAt(steps))
    runner.train()
    assert len(runner.train_dataloader) == 5
    assert len(runner.train_dataloader.dataset) % 4  # a smaller batch
    return runner, steps


def test_iterations_see_the_chips_of_their_epochs(endless):
    runner, _ = endless
    dataset = runner.train_dataloader.dataset
    seen = recorder.read(runner.work_dir)
    for epoch in range(3):
        counts = chips(seen[epoch * 5 : epoch * 5 + 5])
        assert counts.total() == len(dataset)
        assert set(counts) <= set(mined(dataset, runner.seed, epoch))


@pytest.mark.parametrize(
    'number, old', [(0, False), (1, False), (2, False), (3, False), (2, True)]
)
def test_a_resumed_run_of_iterations_goes_on_with_the_chips_to_come(
    endless, number, old, scenes, tmp_path, monkeypatch
):
    """``old``: in mmengine before 0.10.12, whose loop asks for each batch."""
    if old:
        batches = loops._InfiniteDataloaderIterator
        monkeypatch.delattr(batches, 'skip_iter', raising=False)
        monkeypatch.setattr(EndlessChips, 'skip_iter', next_of_each)
    runner, steps = endless
    path = f'{runner.work_dir}/iter_{steps[number]}.pth'
    cfg = config(scenes, tmp_path, resume=True, load_from=path)
    cfg.randomness.seed = None  # that of the first start counts
    cfg = iterations(cfg, 15)
    if number == 2:
        cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
    resumed = Runner.from_cfg(cfg)
    resumed.train()
    if number == 2:
        # Left to the garbage collector, it would be waited for 5 s.
        resumed.train_dataloader._iterator._shutdown_workers()
    expected = recorder.read(runner.work_dir)[steps[number] :]
    assert [s[1:] for s in recorder.read(tmp_path)] == [
        s[1:] for s in expected
    ]


def next_of_each(stream, num_iters):
    for _ in range(num_iters):
        next(stream)


def test_a_resumed_run_of_iterations_may_have_another_batch_size(
    endless, scenes, tmp_path
):
    runner, steps = endless
    path = f'{runner.work_dir}/iter_{steps[2]}.pth'
    cfg = config(scenes, tmp_path, resume=True, load_from=path)
    Runner.from_cfg(iterations(cfg, steps[2] + 3, batch_size=2)).train()
    expected = [
        row for s in recorder.read(runner.work_dir)[steps[2] :] for row in s[2]
    ]
    seen = [row for s in recorder.read(tmp_path) for row in s[2]]
    assert len(seen) == 6 and seen == expected[:6]
    (log,) = tmp_path.glob('2*/*.log')
    assert 'All chips take 9 iterations now, 5 before' in log.read_text()


def test_a_checkpoint_without_the_epoch_of_its_chips(
    endless, scenes, tmp_path
):
    """As they were written before: chips of all epochs together."""
    runner, steps = endless
    found = torch.load(
        f'{runner.work_dir}/iter_{steps[2]}.pth', weights_only=False
    )
    assert found.pop('chips_epoch') == 1
    found['chips_seen'] += runner.train_dataloader.sampler.total_size
    path = str(tmp_path / 'old.pth')
    torch.save(found, path)
    cfg = config(scenes, tmp_path, resume=True, load_from=path)
    Runner.from_cfg(iterations(cfg, steps[2] + 2)).train()
    expected = recorder.read(runner.work_dir)[steps[2] :]
    seen = recorder.read(tmp_path)
    assert [s[2] for s in seen] == [s[2] for s in expected[:2]]


def test_runs_without_a_seed_of_their_own_agree_with_their_checkpoint(
    scenes, tmp_path
):
    cfg = config(scenes, tmp_path, **{'train_cfg.max_epochs': 1})
    cfg.randomness.seed = None
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.train_dataloader.sampler.seed == runner.seed
    dataset = runner.train_dataloader.dataset
    assert set(chips(recorder.read(tmp_path))) <= set(
        mined(dataset, runner.seed, 0)
    )


@DATA_SAMPLERS.register_module(force=True)
class PlainBatchSampler(torch.utils.data.BatchSampler):
    pass


def test_the_hook_needs_no_help(whole, scenes, tmp_path):
    """Neither mmengine's hook for samplers, nor the loader's own sampler."""
    cfg = config(scenes, tmp_path, **{'default_hooks.sampler_seed': None})
    cfg.train_dataloader.batch_sampler = dict(
        type='PlainBatchSampler', drop_last=False
    )
    Runner.from_cfg(cfg).train()
    assert recorder.read(tmp_path) == recorder.read(whole.work_dir)


def test_images_that_cannot_be_read_are_counted(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / 'sample')
    broken = sorted((tmp_path / 'sample/images').glob('train*'))[2]
    broken.write_bytes(broken.read_bytes()[:50])
    cfg = config(
        tmp_path / 'sample',
        tmp_path,
        **{
            'train_cfg.max_epochs': 1,
            'train_dataloader.dataset.on_error': 'skip',
            # Workers tell the main process.
            'train_dataloader.num_workers': 1,
        },
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert len(recorder.read(tmp_path)) == len(runner.train_dataloader)
    (log,) = tmp_path.glob('2*/*.log')
    assert '1 images could not be used so far (indices [2])' in log.read_text()


def test_another_sampler_is_named(scenes, tmp_path):
    cfg = config(scenes, tmp_path)
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=True)
    with pytest.raises(
        TypeError,
        match=(
            r"ChipMiningHook needs train_dataloader\.sampler\.type='sniper_"
            r"mmdet\.ChipSampler'\. Received: DefaultSampler\."
        ),
    ):
        Runner.from_cfg(cfg).train()
