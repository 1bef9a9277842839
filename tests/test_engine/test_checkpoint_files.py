"""What checkpoints may hold, and what no checkpoint gets to run."""

import os
import shutil
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim import MultiStepLR, OneCycleLR
from mmengine.runner.checkpoint import CheckpointLoader

from sniper_mmdet.engine.checkpoint_files import (
    CheckpointError,
    UntrustedError,
)
from sniper_mmdet.engine.resuming import checkpoint_to_resume
from sniper_mmdet.utils.cli import TRUSTED


@pytest.fixture(autouse=True, params=['torch', 'torch before 2.4'])
def stand_here(request, tmp_path, monkeypatch):
    if request.param != 'torch':
        monkeypatch.delattr(
            torch.serialization, 'add_safe_globals', raising=False
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(TRUSTED, '0')


def load(what, name='one.pth'):
    torch.save(what, name)
    return CheckpointLoader.load_checkpoint(name, map_location='cpu')


def a_run():
    """As a run of mmengine leaves it."""
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight], lr=1.0)
    weight.sum().backward()
    optimizer.step()
    schedules = [
        OneCycleLR(optimizer, eta_max=0.1, total_steps=9),
        MultiStepLR(optimizer, milestones=[2, 2, 4]),
    ]
    meta = dict(
        epoch=1,
        iter=7,
        cfg='a = 1',
        dataset_meta=dict(
            classes=('a', 'b'),
            palette=np.arange(6, dtype=np.uint8).reshape(2, 3),
            names=np.array(['a', 'b']),
            more=ConfigDict(x=ConfigDict(y=[1, 2])),
        ),
    )
    losses = HistoryBuffer([1.0, 3.0], [1, 1])
    numbers = dict(
        best=np.float32(0.5), count=np.int64(3), right=np.bool_(True)
    )
    hub = dict(log_scalars=OrderedDict(loss=losses), runtime_info=numbers)
    return dict(
        meta=meta,
        state_dict=OrderedDict(w=weight.detach()),
        message_hub=hub,
        optimizer=optimizer.state_dict(),
        param_schedulers=[one.state_dict() for one in schedules],
        loss_scaler=dict(scale=512.0, growth_tracker=3),
    )


def test_what_a_run_leaves_is_read():
    wrote = a_run()
    found = load(wrote)
    assert found['message_hub']['log_scalars']['loss'].mean() == 2
    assert found['message_hub']['runtime_info'] == dict(
        best=0.5, count=3, right=True
    )
    meta = found['meta']['dataset_meta']
    assert meta['more'].x.y == [1, 2]
    np.testing.assert_array_equal(meta['palette'].ravel(), range(6))
    cycle, steps = found['param_schedulers']
    assert cycle['anneal_func'] is OneCycleLR._annealing_cos
    assert steps['milestones'] == Counter({2: 2, 4: 1})
    assert found['optimizer']['state'][0]['step'] == 1


def test_numpy_of_another_version_is_read():
    """Its module is numpy.core before NumPy 2, and numpy._core after."""
    torch.save(dict(best=np.float64(0.5)), 'one.pth')
    data = {}
    with torch.serialization._open_zipfile_reader('one.pth') as reader:
        data = reader.get_record('data.pkl')
    for core in (b'numpy.core', b'numpy._core'):
        assert b'.multiarray' in data
        other = data.replace(b'numpy._core', core).replace(b'numpy.core', core)
        shutil.copy('one.pth', 'other.pth')
        write_record(other)
        found = CheckpointLoader.load_checkpoint('other.pth')
        assert found == dict(best=0.5)


def write_record(data):
    """Put a pickle into other.pth, a checkpoint without tensors."""
    writer = torch._C.PyTorchFileWriter('other.pth')
    writer.write_record('data.pkl', data, len(data))
    writer.write_record('byteorder', b'little', 6)
    writer.write_end_of_file()


def test_a_checkpoint_of_the_zoo_is_read():
    """mmdet 2 and 3: text, names and numbers beside the weights."""
    meta = dict(
        env_info='sys.platform: linux',
        config='model = dict()',
        seed=0,
        exp_name='a.py',
        epoch=12,
        iter=87960,
        CLASSES=('person', 'car'),
        PALETTE=[(220, 20, 60), (119, 11, 32)],
        mmdet_version='2.11.0+',
        hook_msgs={},
    )
    weights = OrderedDict(w=torch.ones(2), n=torch.tensor(3))
    weights._metadata = OrderedDict({'': dict(version=1)})
    assert load(dict(meta=meta, state_dict=weights))['meta'] == meta
    # torchvision's is the weights alone, of the format before torch 1.6.
    torch.save(weights, 'old.pth', _use_new_zipfile_serialization=False)
    assert list(CheckpointLoader.load_checkpoint('old.pth')) == ['w', 'n']


class Calls:
    """Is a call when it is read."""

    def __init__(self, call, *args):
        self.call = call, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    'payload, name',
    [
        (Calls(os.mkdir, 'ran'), 'posix.mkdir'),
        (Calls(exec, "import os; os.mkdir('ran')"), 'exec'),
        (Calls(getattr, HistoryBuffer, '__init__'), 'builtins.getattr'),
        (Calls(eval, '1'), 'eval'),
        (np.array([Calls(os.mkdir, 'ran')], dtype=object), ''),
    ],
)
def test_nothing_is_called(payload, name, tmp_path):
    for what in (payload, dict(state_dict=OrderedDict(w=payload))):
        with pytest.raises(UntrustedError) as told:
            load(what)
        assert 'one.pth holds ' in str(told.value)
        assert f'{name}, which may run any code' in str(told.value)
    assert not (tmp_path / 'ran').exists()


def test_a_trusted_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv(TRUSTED, '1')
    load(Calls(os.mkdir, 'ran'))
    assert (tmp_path / 'ran').exists()


def test_addresses_are_read_the_same_way(tmp_path, monkeypatch):
    """torch.hub reads them, by a full pickle."""
    torch.save(Calls(os.mkdir, 'ran'), 'a.pth')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    known = tmp_path / 'hub/checkpoints'
    known.mkdir(parents=True)
    shutil.copy('a.pth', known / 'a.pth')
    with pytest.raises(UntrustedError, match=r'example.com/a.pth holds posix'):
        CheckpointLoader.load_checkpoint('https://example.com/a.pth')
    assert not (tmp_path / 'ran').exists()
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


@pytest.fixture
def runs(tmp_path):
    """A work dir with three checkpoints."""
    folder = tmp_path / 'runs'
    folder.mkdir()
    for epoch in (1, 2, 3):
        path = folder / f'epoch_{epoch}.pth'
        torch.save(a_run(), path)
        os.utime(path, (epoch, epoch))
    (folder / 'last_checkpoint').write_text('runs/epoch_3.pth')
    return folder


def test_the_latest_checkpoint(runs, tmp_path):
    assert checkpoint_to_resume('runs') == 'runs/epoch_3.pth'
    assert checkpoint_to_resume('runs', 'runs/epoch_1.pth')[-5] == '1'
    assert checkpoint_to_resume('elsewhere') is None
    assert checkpoint_to_resume('runs', 'https://a/b.pth') == 'https://a/b.pth'


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_a_damaged_checkpoint(runs):
    cut(runs / 'epoch_3.pth')
    with pytest.raises(
        CheckpointError,
        match='runs/epoch_3.pth is not a checkpoint, or is incomplete: .*: '
        '--resume runs/epoch_2.pth continues from the newest other one',
    ):
        checkpoint_to_resume('runs')
    cut(runs / 'epoch_2.pth')
    torch.save(dict(state_dict={}), runs / 'weights.pth')
    with pytest.raises(CheckpointError, match='--resume runs/epoch_1.pth'):
        checkpoint_to_resume('runs', 'runs/epoch_3.pth')
    (runs / 'epoch_1.pth').write_bytes(b'')
    with pytest.raises(CheckpointError, match='no other .* run in runs'):
        checkpoint_to_resume('runs')


@pytest.mark.parametrize(
    'text, told',
    [
        ('', 'runs/last_checkpoint is empty; it names a checkpoint: --resume'),
        (' \n', 'runs/last_checkpoint is empty'),
        ('runs/epoch_4.pth', 'checkpoint runs/epoch_4.pth does not exist: '),
        (b'\xff\0\xff', 'the checkpoint .* does not exist: '),
        (None, 'runs/last_checkpoint, which names a checkpoint, is missing: '),
    ],
)
def test_a_last_checkpoint_that_names_none(runs, text, told):
    pointer = runs / 'last_checkpoint'
    pointer.unlink()
    if text is not None:
        pointer.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CheckpointError, match=told) as error:
        checkpoint_to_resume('runs')
    assert '--resume runs/epoch_3.pth continues' in str(error.value)


def test_a_run_of_an_old_torch_goes_on(runs):
    old = dict(_use_new_zipfile_serialization=False)
    torch.save(a_run(), runs / 'epoch_3.pth', **old)
    assert checkpoint_to_resume('runs') == 'runs/epoch_3.pth'


def test_weights_are_no_run(runs):
    torch.save(dict(state_dict={}), 'weights.pth')
    with pytest.raises(
        CheckpointError, match='weights.pth has no meta .* load_from=weights'
    ):
        checkpoint_to_resume('runs', 'weights.pth')


def test_an_older_torch_maps_no_path_but_text(monkeypatch):
    read = torch.load

    def strict(file, *args, mmap=False, **options):
        if mmap and not isinstance(file, str):
            raise ValueError('f must be a string filename')
        return read(file, *args, mmap=mmap, **options)

    monkeypatch.setattr(torch, 'load', strict)
    torch.save(a_run(), 'run.pth')
    assert checkpoint_to_resume('.', 'run.pth') == 'run.pth'
