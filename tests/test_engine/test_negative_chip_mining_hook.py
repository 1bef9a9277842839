"""Negative chips in real runs on tiny scenes, from a file and online."""

import json
from pathlib import Path

import numpy as np
import pytest
import recorder
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from test_chip_mining_hook import Stop, StopAfter, config

from sniper_mmdet.datasets import ProposalFile, write_proposals
from sniper_mmdet.utils.errors import UserError

EPOCHS = 4
pytestmark = pytest.mark.usefixtures('fast_configs')


@MODELS.register_module(force=True)
class Proposer(BaseModel):
    """Learns nothing of use, and proposes boxes where its weight says."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.looked_at = []

    def forward(self, inputs, data_samples, mode):
        return dict(loss=self.weight.sum())

    def propose(self, images, num, iou_threshold):
        assert not self.training
        self.looked_at += [img.shape[:2] for img in images]
        boxes = crowd(float(self.weight.detach()))
        return [
            InstanceData(bboxes=boxes, scores=torch.ones(len(boxes)))
            for _ in images
        ]


def crowd(shift, num=40):
    """Boxes of 20 pixels, in a corner."""
    boxes = torch.zeros(num, 4)
    boxes[:, :2] = torch.arange(num)[:, None] % 8 + abs(shift) % 1
    boxes[:, 2:] = boxes[:, :2] + 20
    return boxes


def online_config(scenes, work_dir, hook, **options):
    cfg = config(
        scenes, work_dir, **{'train_cfg.max_epochs': EPOCHS, **options}
    )
    cfg.model = dict(type='Proposer')
    cfg.train_dataloader.dataset.negatives = dict(min_proposals=5)
    cfg.custom_hooks[0] = dict(
        type='sniper_mmdet.NegativeChipMiningHook', num_workers=0, **hook
    )
    return cfg


def run(cfg):
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def scalars(work_dir, key):
    lines = [
        json.loads(line)
        for path in sorted(Path(work_dir).rglob('scalars.json'))
        for line in path.read_text().splitlines()
    ]
    return [line[key] for line in lines if key in line]


def made_files(work_dir):
    return sorted(p.name for p in (Path(work_dir) / 'proposals').iterdir())


def negatives_seen(work_dir):
    """Negative chips of each epoch that the model was trained on."""
    counts = [0] * EPOCHS
    for epoch, _, rows in recorder.read(work_dir):
        counts[epoch] += sum(
            not json.loads(row)['chip']['positive'] for row in rows
        )
    return counts


@pytest.fixture(scope='module')
def whole(tiny_scenes, tmp_path_factory):
    """A run that makes proposals before its second and its fourth epoch."""
    work_dir = tmp_path_factory.mktemp('online')
    return run(online_config(tiny_scenes, work_dir, dict(start=1, interval=2)))


def test_online_mining_begins_with_its_epoch_and_is_renewed(whole):
    assert made_files(whole.work_dir) == ['epoch_1.npz', 'epoch_3.npz']
    assert len(whole.model.looked_at) == 2 * 6  # every image, each time
    assert whole.model.training
    seen = negatives_seen(whole.work_dir)
    assert seen[0] == 0 and min(seen[1:]) > 0
    levels = [
        scalars(whole.work_dir, f'chips/level{k}_negative') for k in (0, 1)
    ]
    mined = np.sum(levels, 0)
    assert len(mined) == 3 and (mined > 0).all() and (mined <= 12).all()


def test_renewed_proposals_are_of_the_weights_as_they_are(whole):
    first, second = (
        ProposalFile(f'{whole.work_dir}/proposals/epoch_{k}.npz')
        for k in (1, 3)
    )
    assert len(first) == len(second) == 6
    assert first.about['weights'] != second.about['weights']
    assert not np.array_equal(first.boxes, second.boxes)


def test_epochs_keep_their_length(whole):
    length = len(whole.train_dataloader)
    assert len(recorder.read(whole.work_dir)) == EPOCHS * length


@pytest.mark.parametrize('into_epoch', [0, 3])
def test_a_resumed_run_uses_the_proposals_that_were_made(
    whole, tiny_scenes, tmp_path, into_epoch
):
    stop = 2 * len(whole.train_dataloader) + into_epoch
    hook = dict(start=1, interval=2)
    with pytest.raises(Stop):
        broken = Runner.from_cfg(online_config(tiny_scenes, tmp_path, hook))
        broken.register_hook(StopAfter(stop))
        broken.train()
    resumed = run(
        online_config(
            tiny_scenes,
            tmp_path,
            hook,
            resume=True,
            load_from=str(tmp_path / 'stop.pth'),
        )
    )
    assert len(resumed.model.looked_at) == 6  # for the fourth epoch alone
    assert [s[1:] for s in recorder.read(tmp_path)] == [
        s[1:] for s in recorder.read(whole.work_dir)
    ]


def test_a_new_run_does_not_take_the_proposals_of_an_old_one(
    whole, tiny_scenes, tmp_path
):
    folder = tmp_path / 'proposals'
    folder.mkdir()
    old = Path(whole.work_dir, 'proposals/epoch_3.npz').read_bytes()
    (folder / 'epoch_1.npz').write_bytes(old)
    run(online_config(tiny_scenes, tmp_path, dict(start=1)))
    assert made_files(tmp_path) == ['epoch_1.npz']
    new = ProposalFile(str(folder / 'epoch_1.npz'))
    first = ProposalFile(f'{whole.work_dir}/proposals/epoch_1.npz')
    assert new.about == first.about


def test_lost_proposals_are_made_anew(tiny_scenes, tmp_path):
    cfg = online_config(tiny_scenes, tmp_path, dict(start=0))
    with pytest.raises(Stop):
        broken = Runner.from_cfg(cfg)
        broken.register_hook(StopAfter(3))
        broken.train()
    (tmp_path / 'proposals/epoch_0.npz').unlink()
    cfg = online_config(
        tiny_scenes,
        tmp_path,
        dict(start=0),
        resume=True,
        load_from=str(tmp_path / 'stop.pth'),
    )
    assert len(run(cfg).model.looked_at) == 6
    logs = ''.join(p.read_text() for p in tmp_path.glob('2*/*.log'))
    assert 'epoch_0.npz is missing: proposals are made again' in logs


@pytest.fixture
def proposal_file(tiny_scenes, tmp_path):
    """Forty boxes in a corner of each training image."""
    coco = json.loads((tiny_scenes / 'train.json').read_text())['images']
    path = tmp_path / 'proposals.npz'
    write_proposals(
        str(path),
        [f'{img["id"]} {img["file_name"]}' for img in coco],
        np.array([(img['width'], img['height']) for img in coco]),
        [crowd(0).numpy()] * len(coco),
        [np.ones(40)] * len(coco),
        {},
    )
    return str(path)


@pytest.mark.parametrize('hook', ['ChipMiningHook', 'NegativeChipMiningHook'])
def test_negative_chips_from_a_file(
    tiny_scenes, tmp_path, proposal_file, hook
):
    (tmp_path / 'run').mkdir()
    cfg = online_config(tiny_scenes, tmp_path / 'run', {})
    cfg.custom_hooks[0] = dict(type=f'sniper_mmdet.{hook}')
    cfg.train_dataloader.dataset.proposals = proposal_file
    runner = run(cfg)
    assert runner.model.looked_at == []
    dataset = runner.train_dataloader.dataset
    signs = dataset.mine(0, 0)['positive']
    # The first epoch has them all, and sets the length of the others.
    assert len(dataset) == len(signs) and 0 < (~signs).sum() <= 12
    seen = negatives_seen(tmp_path / 'run')
    assert seen[0] == (~signs).sum() and min(seen) > 0


def test_epoch_size(tiny_scenes, tmp_path):
    cfg = online_config(tiny_scenes, tmp_path, dict(start=1))
    cfg.train_dataloader.sampler.epoch_size = 30
    runner = run(cfg)
    per_epoch = [0] * EPOCHS
    for epoch, _, rows in recorder.read(tmp_path):
        per_epoch[epoch] += len(rows)
    assert per_epoch == [30] * EPOCHS
    assert len(runner.train_dataloader.dataset) != 30


def test_without_a_source_of_proposals(tiny_scenes, tmp_path):
    with pytest.raises(ValueError, match=r"proposals='FILE', or its own sta"):
        run(online_config(tiny_scenes, tmp_path, {}))


@pytest.mark.parametrize(
    'hook, sentence',
    [
        (dict(start=-1), 'start must be 0 or more. Received: -1.'),
        (dict(interval=2), 'needs start. Received: interval 2, start None.'),
        (dict(start=1, interval=0), 'Received: interval 0, start 1.'),
    ],
)
def test_wrong_epochs(tiny_scenes, tmp_path, hook, sentence):
    with pytest.raises(ValueError, match=sentence):
        Runner.from_cfg(online_config(tiny_scenes, tmp_path, hook))


def test_online_mining_needs_a_model_that_proposes(tiny_scenes, tmp_path):
    cfg = online_config(tiny_scenes, tmp_path, dict(start=1))
    cfg.model = dict(type='NoDetector')
    with pytest.raises(TypeError, match=r'PyramidDetector\. Received: NoDete'):
        run(cfg)


def test_online_mining_needs_epochs(tiny_scenes, tmp_path):
    cfg = online_config(tiny_scenes, tmp_path, dict(start=1))
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=3)
    with pytest.raises(UserError, match='start counts epochs'):
        run(cfg)
