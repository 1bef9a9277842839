"""Proposals of tiny scenes, extracted, measured, and trained with."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import RepeatDataset
from mmengine.registry import init_default_scope
from runs import ONE_EPOCH, TOOLS, free_port, start
from tiny import SAMPLE_CONFIG, cli, sample_options

from sniper_mmdet.datasets import ChipDataset, ProposalFile, proposals
from sniper_mmdet.datasets.proposals import write_proposals
from sniper_mmdet.engine import proposal_extraction as extraction
from sniper_mmdet.engine.build import build_image_dataset, load_config
from sniper_mmdet.engine.proposal_extraction import (
    WholeImages,
    extract_proposals,
)
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.registry import MODELS
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import claimed

pytestmark = pytest.mark.usefixtures('fast_configs')
OPTIONS = sample_options()


@pytest.fixture
def extract(tool, trained, here):
    def run(*args, checkpoint=trained, **options):
        tool(
            'extract_proposals.py',
            SAMPLE_CONFIG,
            checkpoint,
            '--out',
            'out.npz',
            '--num-workers',
            '0',
            *args,
            *cli({**OPTIONS, **options}),
        )
        return ProposalFile('out.npz')

    return run


def test_every_training_image_has_proposals(extract, here):
    found = extract('--max-per-level', '20')
    images = json.loads((here / 'data/sample/train.json').read_text())
    assert found.keys == [
        f'{img["id"]} {img["file_name"]}' for img in images['images']
    ]
    assert found.sizes.tolist() == [
        [img['width'], img['height']] for img in images['images']
    ]
    for i, (width, height) in enumerate(found.sizes):
        span = slice(*found.offsets[i : i + 2])
        boxes, scores = found.boxes[span], found.scores[span]
        assert 20 < len(boxes) <= 40  # of two levels
        assert (boxes >= 0).all() and (
            boxes <= np.tile([width, height], 2)
        ).all()
        assert (np.diff(scores) <= 0).all() and (scores > 0).all()
    assert found.about['num'] == 20
    assert sorted(os.listdir()) == ['data', 'out.npz']


def test_splits(extract):
    assert len(extract('--split', 'val')) == 2


def test_nms(extract):
    assert len(extract().boxes) > len(extract('--nms', '0.3').boxes)


@pytest.fixture
def rpn(trained, tmp_path):
    """The checkpoint of an RPN alone, by mmdet's own names."""
    weights = torch.load(trained, weights_only=False)['state_dict']
    weights = {
        key.replace('rpn_head.', 'bbox_head.'): value
        for key, value in weights.items()
        if not key.startswith('roi_head.')
    }
    torch.save(dict(state_dict=weights), tmp_path / 'rpn.pth')
    return tmp_path / 'rpn.pth'


@pytest.mark.parametrize(
    'changes, again',
    [
        ({}, False),
        ({'model.test_cfg.rpn.nms.iou_threshold': 0.3}, True),
        ({'model.scales': [0.5, 0.9]}, True),
    ],
)
def test_what_is_there_of_the_same_kind_is_kept(extract, rpn, changes, again):
    extract(checkpoint=rpn)  # the other weights are random
    before = os.stat('out.npz')
    extract(checkpoint=rpn, **changes)
    assert (os.stat('out.npz').st_ino != before.st_ino) == again


def test_other_settings_are_another_file(extract):
    extract()
    before = os.stat('out.npz')
    assert len(extract('--max-per-level', '7').boxes) <= 6 * 2 * 7
    assert os.stat('out.npz').st_ino != before.st_ino


@pytest.mark.parametrize(
    'args, sentence',
    [
        (['--out', 'x.pkl'], '--out must be a .npz file. Received: x.pkl.'),
        (['--batch-size', '0'], '--batch-size must be at least 1.'),
        (['--nms', '0'], '--nms must be in (0, 1].'),
        (['--split', 'none'], "invalid choice: 'none'"),
    ],
)
def test_wrong_flags(extract, capsys, args, sentence):
    with pytest.raises(SystemExit) as stop:
        extract(*args)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_checkpoint_of_another_detector(extract, trained, tmp_path):
    weights = torch.load(trained, weights_only=False)['state_dict']
    del weights['rpn_head.rpn_cls.weight']
    torch.save(weights, tmp_path / 'other.pth')
    with pytest.raises(SystemExit) as stop:
        extract(checkpoint=tmp_path / 'other.pth')
    assert 'lacks 1 weights of the detector' in str(stop.value)
    assert 'rpn_head.rpn_cls.weight' in str(stop.value)


def test_a_detector_without_a_pyramid(tool, trained):
    plain = (
        SAMPLE_CONFIG.parents[1]
        / 'baselines/faster-rcnn_r18-slim_fpn_stock-ms_9e_deeppcb.py'
    )
    with pytest.raises(SystemExit) as stop:
        tool('extract_proposals.py', plain, trained, '--out', 'x.npz')
    assert 'model.type must be sniper_mmdet.PyramidDetector' in str(stop.value)


@pytest.fixture
def detector(here, trained):
    """The trained detector and the training images."""
    cfg = load_config(str(SAMPLE_CONFIG), OPTIONS)
    model = MODELS.build(cfg.model)
    assert isinstance(model, PyramidDetector)
    weights = torch.load(trained, weights_only=False)['state_dict']
    model.load_state_dict(weights)
    return model, build_image_dataset(cfg, 'train')


class Cut(Exception):
    pass


def test_an_extraction_that_is_cut_off_goes_on(detector, monkeypatch):
    model, dataset = detector
    settings = dict(num=20, num_workers=0)
    whole = extract_proposals(
        model, WholeImages(dataset), 'whole.npz', **settings
    )
    looked = []

    def propose(images, **kwargs):
        if len(looked) == 4:
            raise Cut
        looked.append(1)
        return PyramidDetector.propose(model, images, **kwargs)

    monkeypatch.setattr(model, 'propose', propose)
    model.train()
    with pytest.raises(Cut):
        extract_proposals(model, WholeImages(dataset), 'cut.npz', **settings)
    assert model.training
    assert not os.path.exists('cut.npz')
    looked.clear()
    found = extract_proposals(
        model, WholeImages(dataset), 'cut.npz', **settings
    )
    assert len(looked) == 2
    assert not os.path.exists('cut.npz.parts')
    for name in ('boxes', 'scores', 'offsets', 'keys'):
        assert np.array_equal(getattr(found, name), getattr(whole, name))


def test_parts_of_other_weights_are_dropped(detector, monkeypatch):
    model, dataset = detector
    settings = dict(num=20, num_workers=0)
    images = WholeImages(dataset)

    def cut(images, **kwargs):
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(model, 'propose', cut)
        with pytest.raises(Cut):
            extract_proposals(model, images, 'cut.npz', **settings)
    torch.nn.init.normal_(model.detector.rpn_head.rpn_cls.weight)
    found = extract_proposals(model, images, 'cut.npz', **settings)
    other = extract_proposals(model, images, 'new.npz', **settings)
    assert np.array_equal(found.boxes, other.boxes)


def test_parts_say_whose_they_are(detector, monkeypatch):
    """One extraction takes up none of another's, whoever wrote them last."""
    model, dataset = detector
    images, settings = WholeImages(dataset), dict(num=20, num_workers=0)
    whole = extract_proposals(model, images, 'whole.npz', **settings)
    parts = []

    def keep(path, *rows):
        write_proposals(path, *rows)
        parts.append((Path(path).name, Path(path).read_bytes()))

    rpn_cls = model.detector.rpn_head.rpn_cls.weight
    ours = rpn_cls.data.clone()
    with monkeypatch.context() as patch:
        patch.setattr(proposals, 'write_proposals', keep)
        torch.nn.init.normal_(rpn_cls)
        extract_proposals(model, images, 'other.npz', **settings)
    rpn_cls.data = ours
    os.mkdir('cut.npz.parts')
    for name, content in parts:
        Path('cut.npz.parts', name).write_bytes(content)
    found = extract_proposals(model, images, 'cut.npz', **settings)
    assert np.array_equal(found.boxes, whole.boxes)
    # Where there are no locks: the last part, after ours was written.
    join = extraction._pending

    def overwritten(todo, about):
        found = join(todo, about)
        if not found:
            Path('new.npz.parts', parts[0][0]).write_bytes(parts[0][1])
        return join(todo, about)

    monkeypatch.setattr(extraction, '_pending', overwritten)
    with pytest.raises(UserError, match='another extraction wrote there'):
        extract_proposals(model, images, 'new.npz', **settings)
    assert not os.path.exists('new.npz')


def test_two_extractions_into_a_file(extract):
    with claimed('out.npz.lock', 'x'):
        with pytest.raises(SystemExit) as stop:
            extract()
    assert str(stop.value) == (
        'extract_proposals: out.npz cannot be written: another process does '
        'so now; wait for its end, or choose another place.'
    )
    assert os.listdir() == ['data']
    extract()
    assert sorted(os.listdir()) == ['data', 'out.npz']
    with claimed('out.npz.lock', 'x'):
        extract()  # it is there


def test_images_that_cannot_be_read(detector, here):
    model, dataset = detector
    images = WholeImages(dataset)
    load = images.load

    def broken(info):
        if info['img_id'] == 3:
            raise OSError('no picture')
        return load(info)

    images.load = broken
    with pytest.raises(ValueError, match=r'train.*jpg: OSError: no picture'):
        extract_proposals(model, images, 'out.npz', num_workers=0)
    images.on_error = 'skip'
    found = extract_proposals(model, images, 'out.npz', num_workers=0)
    counts = np.diff(found.offsets)
    assert [k for k in found.keys if k.startswith('3 ')] == [
        found.keys[i] for i in np.flatnonzero(counts == 0)
    ]


def test_repeated_images_are_looked_at_once(detector):
    model, dataset = detector
    inner = dataset.dataset
    repeated = RepeatDataset(inner, 2)
    images = WholeImages(repeated)
    found = extract_proposals(model, images, 'twice.npz', num=5, num_workers=0)
    once = extract_proposals(
        model, WholeImages(dataset), 'once.npz', num=5, num_workers=0
    )
    assert found.keys == once.keys
    chips = ChipDataset(repeated, [1.0], proposals='twice.npz')
    assert chips.proposals.entries.tolist() == [*range(6)] * 2


@pytest.mark.skipif(torch.cuda.is_available(), reason='compares on the CPU')
def test_two_processes_extract_as_one(extract, trained, here, monkeypatch):
    one = extract()
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')
    monkeypatch.delenv('LOCAL_RANK')
    start(
        'torchrun',
        '--nproc-per-node=2',
        f'--master-port={free_port()}',
        TOOLS / 'extract_proposals.py',
        SAMPLE_CONFIG,
        trained,
        '--out',
        'two.npz',
        '--launcher',
        'pytorch',
        *cli(OPTIONS),
        cwd=here,
    )
    two = ProposalFile('two.npz')
    assert two.keys == one.keys
    assert two.offsets.tolist() == one.offsets.tolist()
    assert np.allclose(two.boxes, one.boxes, atol=1e-2)


def test_all_stages_in_one_command(here):
    script = TOOLS / 'train_neg_props_and_sniper.sh'
    options = {
        **OPTIONS,
        **ONE_EPOCH,
        'train_cfg.val_begin': 99,
        'train_dataloader.dataset.negatives.min_proposals': 2,
    }
    args = [a for a in cli(options) if a != '--cfg-options']
    done = start('bash', script, SAMPLE_CONFIG, 'work', *args, cwd=here)
    assert 'of them negative: [' in done.stdout + done.stderr
    rpn = torch.load(here / 'work/rpn.pth', weights_only=False)
    assert rpn['meta']['epoch'] == 2
    assert not any('roi_head' in key for key in rpn['state_dict'])
    sniper = torch.load(here / 'work/sniper.pth', weights_only=False)
    assert any('roi_head' in key for key in sniper['state_dict'])
    cfg = Config.fromfile(here / 'work/sniper' / SAMPLE_CONFIG.name)
    assert cfg.train_dataloader.dataset.proposals == 'work/proposals.npz'
    assert len(ProposalFile(str(here / 'work/proposals.npz'))) == 6
    again = start('bash', script, SAMPLE_CONFIG, 'work', *args, cwd=here)
    assert again.stdout.count('already there, skipped') == 3


@pytest.mark.parametrize(
    'args, sentence',
    [
        ([], 'usage:'),
        (['no.py'], 'there is no config no.py'),
        ([SAMPLE_CONFIG, 'work', '--resume'], '--resume is not KEY=VALUE'),
    ],
)
def test_the_command_says_what_it_needs(here, args, sentence):
    script = TOOLS / 'train_neg_props_and_sniper.sh'
    done = start('bash', script, *args, cwd=here, check=False)
    assert done.returncode == 2 and sentence in done.stderr


def test_recall_of_proposals(extract, tool, capsys):
    init_default_scope('mmdet')
    extract('--split', 'val')
    capsys.readouterr()
    name = 'analysis_tools/proposal_recall.py'
    tool(name, SAMPLE_CONFIG, 'a=out.npz', 'b=out.npz', '--json')
    found = json.loads(capsys.readouterr().out)
    assert found['a'] == found['b']
    assert 0 <= found['a']['AR'] <= found['a']['AR50'] <= 100
    assert {'AR 0-25', 'AR 200-300'} < set(found['a'])
    tool(name, SAMPLE_CONFIG, 'a=out.npz')
    assert 'AR 25-50' in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        tool(name, SAMPLE_CONFIG, 'a=out.npz', '--split', 'train')
    assert 'holds proposals of another dataset' in str(stop.value)


def test_rpn_alone_proposes_as_in_the_detector(extract, trained, rpn):
    whole = extract()
    os.remove('out.npz')
    of_rpn = extract(checkpoint=rpn)
    assert np.array_equal(whole.boxes, of_rpn.boxes)
    os.remove('out.npz')
    alone = extract(checkpoint=trained, **{'model.rpn_only': True})
    assert np.array_equal(whole.boxes, alone.boxes)


def test_missing_split(tool, trained, here):
    (here / 'half.py').write_text(
        f"_base_ = '{SAMPLE_CONFIG}'\nval_dataloader = None\n"
    )
    with pytest.raises(SystemExit) as stop:
        tool(
            'extract_proposals.py',
            'half.py',
            trained,
            '--out',
            'x.npz',
            '--split',
            'val',
            *[o for o in cli(OPTIONS) if 'val_dataloader' not in o],
        )
    assert 'has no val_dataloader.dataset' in str(stop.value)
