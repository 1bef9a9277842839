"""Passes for negative chips that do not look at everything."""

import json

import numpy as np
import pytest
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner
from test_chip_mining_hook import Stop, StopAfter
from test_negative_chip_mining_hook import (
    Proposer,
    online_config,
    proposal_file,  # noqa: F401  # a fixture
    run,
)

from sniper_mmdet.chips import FocusedPass, ImageBoxes, ImagePyramid
from sniper_mmdet.datasets import ChipDataset, ProposalFile
from sniper_mmdet.engine.hooks.negative_chip_mining_hook import (
    images_like_chips,
)
from sniper_mmdet.models import AutoFocus
from sniper_mmdet.utils.errors import UserError

pytestmark = pytest.mark.usefixtures('fast_configs')


@MODELS.register_module(force=True)
class PyramidProposer(Proposer):
    pyramid = ImagePyramid([0.5, 1.0])


@MODELS.register_module(force=True)
class FocusedProposer(Proposer, AutoFocus):
    """An AutoFocus as far as the hook can tell."""

    pyramid = ImagePyramid([0.5, 1.0])
    ground_truth = frozen = False

    def __init__(self):
        BaseModel.__init__(self)
        self.weight = Proposer().weight
        self.looked_at, self.told = [], []

    loss = predict = extract_feat = _forward = None

    def state_dict(self, *args, **kwargs):
        return BaseModel.state_dict(self, *args, **kwargs)

    def propose(self, images, num, iou_threshold, **focused):
        self.told.append(focused)
        return super().propose(images, num, iou_threshold)


def passes(scenes, work_dir, hook, model='PyramidProposer', **options):
    cfg = online_config(scenes, work_dir, dict(start=1, **hook), **options)
    cfg.model = dict(type=model)
    return cfg


def made(work_dir, epoch):
    return ProposalFile(f'{work_dir}/proposals/epoch_{epoch}.npz')


def found(file):
    """Of each image, the first box, None without any."""
    spans = zip(file.keys, file.offsets[:-1], file.offsets[1:], strict=True)
    return {
        key: file.boxes[first].tolist() if end > first else None
        for key, first, end in spans
    }


def test_images_take_turns_and_keep_what_they_have(tiny_scenes, tmp_path):
    hook = dict(images_per_pass=2, interval=1)
    runner = run(passes(tiny_scenes, tmp_path, hook))
    assert len(runner.model.looked_at) == 3 * 2
    first, second, third = (found(made(tmp_path, k)) for k in (1, 2, 3))
    keys = runner.train_dataloader.dataset.keys
    for of_pass in (first, second, third):
        assert sorted(of_pass) == sorted(keys)

    def has(of_pass):
        return {key for key, box in of_pass.items() if box}

    new = [has(first), has(second) - has(first), has(third) - has(second)]
    assert [len(of_pass) for of_pass in new] == [2, 2, 2]
    # Weights move, and boxes with them: these are of the pass before.
    assert {k: second[k] for k in new[0]} == {k: first[k] for k in new[0]}
    assert {k: third[k] for k in has(second)} == {
        k: second[k] for k in has(second)
    }
    assert len({str(third[k]) for k in keys}) == 3


@pytest.mark.parametrize('into_epoch', [0, 3])
def test_a_resumed_run_makes_the_same(tiny_scenes, tmp_path, into_epoch):
    hook = dict(images_per_pass=2, interval=1)
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    whole.mkdir(), cut.mkdir()
    length = len(run(passes(tiny_scenes, whole, hook)).train_dataloader)
    with pytest.raises(Stop):
        broken = Runner.from_cfg(passes(tiny_scenes, cut, hook))
        broken.register_hook(StopAfter(2 * length + into_epoch))
        broken.train()
    resume = dict(resume=True, load_from=str(cut / 'stop.pth'))
    resumed = run(passes(tiny_scenes, cut, hook, **resume))
    assert len(resumed.model.looked_at) == (4 if into_epoch == 0 else 2)
    for epoch in (1, 2, 3):
        ours, theirs = made(cut, epoch), made(whole, epoch)
        assert ours.about == theirs.about
        assert found(ours) == found(theirs)


def test_images_of_a_proposal_file_keep_theirs(
    tiny_scenes,
    tmp_path,
    proposal_file,  # noqa: F811
):
    (tmp_path / 'run').mkdir()
    cfg = passes(tiny_scenes, tmp_path / 'run', dict(images_per_pass=2))
    cfg.train_dataloader.dataset.proposals = proposal_file
    run(cfg)
    boxes = list(found(made(tmp_path / 'run', 1)).values())
    given = list(found(ProposalFile(proposal_file)).values())
    kept = [a == b for a, b in zip(boxes, given, strict=True)]
    assert sum(kept) == 4
    assert all(boxes)


@pytest.mark.parametrize(
    'model, hook, images',
    [
        # An epoch of chips has fewer pixels than the six images, see below.
        ('PyramidProposer', {}, None),
        ('PyramidProposer', dict(images_per_pass='all'), 6),
        ('PyramidProposer', dict(images_per_pass=6), 6),
        ('FocusedProposer', {}, 6),
        ('FocusedProposer', dict(images_per_pass=3), 3),
    ],
)
def test_how_many_images(tiny_scenes, tmp_path, model, hook, images):
    cfg = passes(tiny_scenes, tmp_path, hook, model)
    cfg.train_dataloader.sampler.epoch_size = 20
    runner = run(cfg)
    if images is None:
        coco = json.loads((tiny_scenes / 'train.json').read_text())['images']
        pixels = np.mean([i['width'] * i['height'] * 1.25 for i in coco])
        images = int(20 * 96**2 / pixels)
        assert 1 < images < 6
    assert len(runner.model.looked_at) == images


def test_images_like_chips():
    dataset = ChipDataset([], [1.0], chip_size=100)
    dataset._images = ImageBoxes.from_lists(
        [(200, 100), (400, 300), (0, 0)], [[]] * 3
    )
    # 70,000 pixels an image at the fine level, 17,500 at the coarse one.
    levels = ImagePyramid([0.5, 1.0])
    assert images_like_chips(dataset, 87, levels) == 9
    assert images_like_chips(dataset, 88, levels) == 10
    assert images_like_chips(dataset, 1, levels) == 1


def test_where_an_autofocus_looks(tiny_scenes, tmp_path):
    hook = dict(interval=2, focused=dict(share=0.3))
    runner = run(passes(tiny_scenes, tmp_path, hook, 'FocusedProposer'))
    told = runner.model.told
    assert {one['focused'] for one in told} == {FocusedPass(0.3)}
    seeds = [seed for one in told for seed in one['seeds']]
    assert {seed[:2] for seed in seeds} == {(0, 1), (0, 3)}  # seed, epoch
    assert len(set(seeds)) == 12
    (log,) = tmp_path.glob('2*/*.log')
    assert 'finer ones are not looked at' not in log.read_text()
    about = made(tmp_path, 1).about
    assert about['focused'] == str(FocusedPass(0.3))
    assert about['seed'] == [0, 1]


def test_a_coarsest_level_above_the_share_is_told(tiny_scenes, tmp_path):
    """Levels a factor of two apart: it has a fifth of the pixels."""
    run(passes(tiny_scenes, tmp_path, {}, 'FocusedProposer'))
    (log,) = tmp_path.glob('2*/*.log')
    assert (
        'the coarsest level alone has 20% of the pixels, so the finer ones '
        'are not looked at. focused.share must be more. Received: 0.15.'
    ) in log.read_text()


@pytest.mark.parametrize('truth', [False, True])
def test_a_whole_pass(tiny_scenes, tmp_path, monkeypatch, truth):
    hook = dict(images_per_pass='all', focused=None if truth else False)
    monkeypatch.setattr(FocusedProposer, 'ground_truth', truth)
    runner = run(passes(tiny_scenes, tmp_path, hook, 'FocusedProposer'))
    assert runner.model.told == [{}] * 6
    assert set(made(tmp_path, 1).about) == {
        *('num', 'iou_threshold', 'scales', 'images', 'weights', 'others')
    }


@pytest.mark.parametrize(
    'hook, sentence',
    [
        (dict(images_per_pass=0), "whole number or 'all'. Received: 0."),
        (dict(images_per_pass=-2), 'Received: -2.'),
        (dict(images_per_pass='some'), "Received: 'some'."),
        (dict(focused=dict(share=2)), 'share must be .* Received: 2.'),
        (dict(focused=dict(part=1)), 'focused must be False, or give share'),
        (dict(focused=3), 'focused must be False, or give share'),
    ],
)
def test_wrong_settings(tiny_scenes, tmp_path, hook, sentence):
    with pytest.raises(ValueError, match=sentence):
        Runner.from_cfg(passes(tiny_scenes, tmp_path, hook))


@pytest.mark.parametrize('hook', [dict(images_per_pass=3), dict(focused={})])
def test_settings_of_passes_need_a_start(tiny_scenes, tmp_path, hook):
    with pytest.raises(ValueError, match='needs start. Received: start None'):
        Runner.from_cfg(online_config(tiny_scenes, tmp_path, hook))


@pytest.mark.parametrize(
    'hook, sentence',
    [
        (dict(images_per_pass=7), 'at most 6, the number of .* Received: 7.'),
        (dict(focused={}), 'AutoFocus .* Received: PyramidProposer.'),
    ],
)
def test_settings_that_do_not_fit(tiny_scenes, tmp_path, hook, sentence):
    with pytest.raises(UserError, match=sentence):
        run(passes(tiny_scenes, tmp_path, hook))
