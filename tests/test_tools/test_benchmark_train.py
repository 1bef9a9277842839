"""benchmark.py train: what it says, and what it takes for what."""

import importlib
import io
import json
import pickle
import runpy
import sys
from functools import partial
from subprocess import CompletedProcess
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from runs import TOOLS
from tiny import (
    ROOT,
    SAMPLE_CONFIG,
    cli,
    plain_detector,
    sample_options,
    shrunk,
)

COCO_CONFIG = ROOT / 'configs/sniper/faster-rcnn_r18_fpn_sniper_7e_coco.py'
TOOL = 'analysis_tools/benchmark.py'
QUICK = ('--iters', 1, '--warmup', 0)
PARTS = ('proposals', 'targets', 'sampling')


@pytest.fixture
def benchmark_train():
    return importlib.import_module('sniper_mmdet.benchmark.training')


def check(row):
    assert set(row) == {
        'batch',
        'seconds_a_chip',
        'peak_memory_mb_a_chip',
        'peak_memory_mb',
        'share_not_network',
        *(f'share_{part}' for part in PARTS),
    }
    shares = [row[f'share_{part}'] for part in PARTS]
    assert 0 < min(shares) and row['share_not_network'] < 1
    assert row['share_not_network'] == pytest.approx(sum(shares))
    assert row['seconds_a_chip'] > 0
    if sys.platform == 'linux':
        assert row['peak_memory_mb'] > 1
        assert row['peak_memory_mb_a_chip'] == pytest.approx(
            row['peak_memory_mb'] / row['batch']
        )


def test_steps_on_chips_of_a_config(tool, capsys):
    capsys.readouterr()
    args = ('--batch', 2, 1, '--iters', 2, '--warmup', 1, '--json')
    options = cli(sample_options())
    tool(TOOL, 'train', SAMPLE_CONFIG, *args, '--seed', 3, *options)
    result = json.loads(capsys.readouterr().out)
    rows = result.pop('batches')
    assert [row['batch'] for row in rows] == [2, 1]
    for row in rows:
        check(row)
    assert result.pop('threads') > 0 and result.pop('device')
    assert result == dict(
        config=str(SAMPLE_CONFIG),
        chips='of the config',
        seed=3,
        dtype='float32',
    )


def small_coco():
    """Options for COCO_CONFIG, whose data set is not there."""
    return {
        **shrunk(Config.fromfile(COCO_CONFIG)),
        'model.data_preprocessor.batch_augments.0.size': (96, 96),
        'train_dataloader.dataset.chip_size': 96,
    }


def test_table_of_random_chips(tool, capsys):
    capsys.readouterr()
    args = ('--batch', 1, '--random', *QUICK)
    tool(TOOL, 'train', COCO_CONFIG, *args, *cli(small_coco()))
    lines = capsys.readouterr().out.splitlines()
    assert ['chips', 'random'] in [line.split() for line in lines]
    head, row = lines[-2:]
    assert head.split() == ['batch', 's/chip', 'MB/chip', 'MB', *PARTS] + [
        'not',
        'network',
    ]
    assert len(head) == len(row) and row.split()[0] == '1'
    assert 0 < float(row.split()[-1]) < 1


@pytest.mark.gpu
def test_mixed_precision_on_a_gpu(tool, capsys):
    capsys.readouterr()
    options = {**small_coco(), 'optim_wrapper.type': 'AmpOptimWrapper'}
    args = ('--batch', 1, '--random', '--json', *QUICK)
    tool(TOOL, 'train', COCO_CONFIG, *args, *cli(options))
    result = json.loads(capsys.readouterr().out)
    check(*result['batches'])
    assert result['dtype'] == 'float16'
    assert result['device'] == torch.cuda.get_device_name()


ABOUT = dict(about=dict(device='some'))
NO_MEMORY = dict(row=dict(error='out of memory'))


def said(benchmark_train, monkeypatch, capsys, fail):
    """What a process says whose measurement fails."""

    def measure(args, batch):
        assert (args, batch) == ('args', 2)
        print('no part of it')
        yield ABOUT
        fail()

    work = io.BytesIO(pickle.dumps(('args', 2)))
    monkeypatch.setattr(sys, 'stdin', SimpleNamespace(buffer=work))
    monkeypatch.setattr(benchmark_train, 'measure', measure)
    benchmark_train.measure_from_stdin()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def throw(error):
    raise error


@pytest.mark.parametrize(
    'fail, last',
    [
        (lambda: torch.empty(10**16), NO_MEMORY),
        (lambda: np.empty(10**16), NO_MEMORY),
        (
            lambda: throw(torch.OutOfMemoryError('CUDA out of memory.')),
            NO_MEMORY,
        ),
        (
            lambda: throw(ValueError('no such head')),
            dict(error='no such head'),
        ),
        (lambda: throw(AssertionError('a GPU')), dict(error='a GPU')),
    ],
)
def test_a_measurement_that_fails(
    benchmark_train, monkeypatch, capsys, fail, last
):
    lines = said(benchmark_train, monkeypatch, capsys, fail)
    assert lines == [ABOUT, last]


def test_a_measurement_that_has_a_bug(benchmark_train, monkeypatch, capsys):
    with pytest.raises(KeyError, match='bug'):
        fail = partial(throw, KeyError('bug'))
        said(benchmark_train, monkeypatch, capsys, fail)


def test_a_process_that_ends(benchmark_train, monkeypatch):
    def result_of(code, *lines):
        out = ''.join(json.dumps(line) + '\n' for line in lines).encode()
        monkeypatch.setattr(
            'subprocess.run',
            lambda *_, **__: CompletedProcess([], code, stdout=out),
        )
        return benchmark_train.in_new_process('args', 1, 'data')

    row = dict(row=dict(seconds_a_chip=1))
    assert result_of(0, ABOUT, row) == {**ABOUT, **row}
    assert result_of(0, ABOUT, NO_MEMORY) == {**ABOUT, **NO_MEMORY}
    assert result_of(-9, ABOUT) == {**ABOUT, **NO_MEMORY}
    assert result_of(-9) == NO_MEMORY
    with pytest.raises(ValueError, match='no such head'):
        result_of(0, ABOUT, dict(error='no such head'))
    with pytest.raises(ChildProcessError, match='above. Received: exit stat'):
        result_of(1, ABOUT)


def test_lines_of_the_table(capsys):
    script = runpy.run_path(str(TOOLS / TOOL))
    row = dict.fromkeys(('s', 'mb_a_chip', 'mb', *PARTS, 'share'), 0.25)
    row = dict(batch=4, **row)
    rows = [
        row,
        dict(row, mb_a_chip=None, mb=None),
        dict(batch=16, **NO_MEMORY['row']),
    ]
    script['print_steps'](dict(seed=0, batches=rows))
    first, second, last = capsys.readouterr().out.splitlines()[-3:]
    assert first.split() == ['4', '0.2500', '0.2', '0.2', *['0.250'] * 4]
    assert second.split()[2:4] == ['-', '-'] and len(second) == len(first)
    assert last.split() == ['16', 'out', 'of', 'memory']


@pytest.mark.parametrize(
    'base, args, sentence',
    [
        ('datasets/coco_chips', '', 'config.py has no model.'),
        ('models/faster-rcnn_r50_fpn_pyramid', '', 'has no optim_wrapper.'),
        (
            'models/faster-rcnn_r50_fpn_pyramid schedules/sniper_7e',
            '',
            'config.py has no train_dataloader.dataset.',
        ),
        (
            'models/faster-rcnn_r50_fpn_pyramid schedules/sniper_7e',
            '--random',
            'chip_size, which --cfg-options can give. Received: None.',
        ),
    ],
)
def test_a_config_that_trains_nothing(tool, here, base, args, sentence):
    bases = [f'{ROOT}/configs/_base_/{name}.py' for name in base.split()]
    (here / 'config.py').write_text(f'_base_ = {bases}')
    with pytest.raises(SystemExit) as stop:
        tool(TOOL, 'train', 'config.py', *args.split())
    message = str(stop.value)
    assert message.startswith('benchmark: ') and sentence in message
    assert '\n' not in message


def test_more_chips_than_there_are(tool):
    options = {'train_dataloader.sampler.epoch_size': 3}
    with pytest.raises(SystemExit, match='samples, 3. Received: 4.'):
        tool(
            TOOL,
            'train',
            SAMPLE_CONFIG,
            *('--batch', 2, 4),
            *cli(sample_options(**options)),
        )


@pytest.mark.parametrize(
    'args, sentence',
    [
        ('--batch 1 0', '--batch must be at least 1. Received: [1, 0].'),
        ('--iters 0', '--iters must be at least 1. Received: 0.'),
        ('--warmup -1', '--warmup must be at least 0. Received: -1.'),
    ],
)
def test_numbers_out_of_bounds(tool, capsys, args, sentence):
    with pytest.raises(SystemExit):
        tool(TOOL, 'train', SAMPLE_CONFIG, *args.split())
    assert sentence in capsys.readouterr().err


def test_random_chips(benchmark_train):
    cfg = Config.fromfile(COCO_CONFIG)
    cfg.train_dataloader.dataset.chip_size = 64
    cfg.model.roi_head.bbox_head.num_classes = 3
    cfg.model.roi_head.mask_head = dict(num_classes=3)
    init_default_scope('mmdet')
    chips, collate = benchmark_train.random_chips(cfg, 3, 0)
    labels = set()
    for chip in collate(chips)['data_samples']:
        boxes, ignored = chip.gt_instances, chip.ignored_instances
        assert len(boxes) == len(boxes.masks) == 8 and len(ignored) == 4
        assert chip.img_shape == (64, 64) and chip.scale_factor == (1, 1)
        for part in (boxes, ignored):
            corners = part.bboxes.tensor
            assert 0 <= corners.min() and corners.max() <= 64
        sizes = boxes.bboxes.areas.sqrt()
        others = ignored.bboxes.areas.sqrt()
        assert others.numpy() == pytest.approx(
            np.r_[others[others < sizes.min()], others[others > sizes.max()]]
        )
        around = boxes.masks.get_bboxes('hbox').tensor.numpy()
        assert around == pytest.approx(boxes.bboxes.tensor.numpy(), abs=0.51)
        labels.update(boxes.labels.tolist())
    assert labels == {0, 1, 2}
    assert chips[0]['inputs'].shape == (3, 64, 64)
    again, _ = benchmark_train.random_chips(cfg, 1, 0)
    assert (again[0]['inputs'] == chips[0]['inputs']).all()


@pytest.mark.parametrize(
    'name, parts',
    [
        ('mask-rcnn', set(PARTS)),
        ('faster-rcnn', set(PARTS)),
        ('retinanet', {'targets', 'sampling'}),
    ],
)
def test_what_is_not_the_network(benchmark_train, name, parts):
    init_default_scope('mmdet')
    cfg = Config(
        dict(
            model=plain_detector(name),
            train_dataloader=dict(dataset=dict(chip_size=64)),
        )
    )
    model = MODELS.build(cfg.model).train()
    chips, collate = benchmark_train.random_chips(cfg, 2, 0)
    optim_wrapper = build_optim_wrapper(
        model, dict(optimizer=dict(type='SGD', lr=0.0))
    )
    methods = benchmark_train.not_network(model)
    assert len({(id(owner), name) for owner, name, _ in methods}) == len(
        methods
    )
    before = [getattr(owner, name) for owner, name, _ in methods]
    spent = {}
    with benchmark_train.watch(methods, spent):
        losses = model.train_step(collate(chips), optim_wrapper)
    assert set(spent) == parts and min(spent.values()) > 0
    assert ('loss_mask' in losses) == (name == 'mask-rcnn')
    assert before == [getattr(owner, name) for owner, name, _ in methods]


def test_time_of_calls_within_calls(benchmark_train, monkeypatch):
    """Counts once, for the inner one, whatever the order."""
    now = [0.0]
    monkeypatch.setattr('time.perf_counter', lambda: now[0])

    class Head:
        def outer(self):
            now[0] += 1
            self.inner()
            self.inner()
            now[0] += 2

        def inner(self):
            now[0] += 10

    head, spent, waits = Head(), {}, []
    with benchmark_train.watch(
        [(head, 'outer', 'a'), (head, 'inner', 'b')],
        spent,
        lambda: waits.append(now[0]),
    ):
        head.outer()
        head.inner()
    head.outer()
    assert spent == dict(a=3, b=30)
    assert len(waits) == 8
