"""Preparing a process for PyTorch on the CPU."""

import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config

from sniper_mmdet.engine.cpu import prepare_cpu

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='does nothing where there is a GPU'
)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for key, value in dict(
        RANK=0, WORLD_SIZE=1, MASTER_ADDR='127.0.0.1', MASTER_PORT=0
    ).items():
        monkeypatch.setenv(key, str(value))
    yield
    torch.set_flush_denormal(False)
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.mark.parametrize('launcher', ['none', 'slurm'])
def test_twice_and_no_process_group(launcher):
    cfg = Config(dict(model=dict()))
    for _ in range(2):
        prepare_cpu()
        prepare_cpu(launcher, cfg)
    assert not dist.is_initialized()
    assert 'model_wrapper_cfg' not in cfg


def test_torchrun_gets_gloo_once():
    for _ in range(2):
        prepare_cpu('pytorch')
    assert dist.get_backend() == 'gloo' and dist.get_world_size() == 1


def test_torchrun_gets_a_distributed_model_without_a_device():
    cfg = Config(dict(find_unused_parameters=True))
    prepare_cpu('pytorch', cfg)
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=True,
    )
    own = dict(type='MMFullyShardedDataParallel')
    cfg = Config(dict(model_wrapper_cfg=own))
    prepare_cpu('pytorch', cfg)
    assert cfg.model_wrapper_cfg == own


def test_denormal_numbers_are_zero():
    prepare_cpu()
    tiny = torch.tensor([1e-38])
    assert (tiny * 0.01).item() == 0


def test_memory_is_usable_afterwards():
    subprocess.run(
        [
            sys.executable,
            '-c',
            'import torch; from sniper_mmdet.engine.cpu import prepare_cpu\n'
            'prepare_cpu(); prepare_cpu()\n'
            'for _ in range(20): torch.ones(2**22).sum()\n'
            'assert torch.ones(2**24).sum() == 2**24',
        ],
        check=True,
    )
