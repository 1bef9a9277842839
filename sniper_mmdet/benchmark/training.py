"""Measures training steps, for benchmark.py train.

A step is the work of mmengine's runner on a batch: the data preprocessor, the
losses, their gradients, the update. It does not include data loading and
hooks. These methods of the model do not count as the network:

- proposals: ``predict_by_feat`` and ``refine_bboxes`` of heads, which decode
  boxes and leave out all but the best, NMS included;
- targets: ``get_anchors`` of heads, their methods ``*target``, ``*targets``
  and ``*targets_single``, and ``assign`` of their attributes ``*assigner``;
- sampling: ``sample`` of their attributes ``*sampler``.

Where one of these methods calls another, the time of the inner call counts
once, for the inner method. Everything else counts as the network, also copies
and the normalisation of pixels.

Weights are random, or those of a checkpoint. They do not change: the learning
rate is 0. The number of proposals that NMS leaves out depends on them.

On a GPU, peak memory is the memory that PyTorch allocated, weights included.
On a CPU it is the resident memory of the process, less the memory in use
before the first step, which includes the weights.
"""

import contextlib
import copy
import functools
import gc
import json
import pickle
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from inspect import getattr_static, isroutine
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.device import get_device
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.runner import set_random_seed
from torch import nn

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.engine.checkpoints import (
    build_detector,
    read_weights,
    require_fit,
)
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.utils.cli import quiet

from .meters import memory, watch
from .training_data import chips_of_config, random_chips

PARTS = ('proposals', 'targets', 'sampling')
_METHODS = dict.fromkeys(('predict_by_feat', 'refine_bboxes'), 'proposals')
_METHODS['get_anchors'] = 'targets'
_KEPT = ('assigner', 'assign', 'targets'), ('sampler', 'sample', 'sampling')
_TARGETS = re.compile(r'(^|_)targets?(_single)?$')
_OUT_OF_MEMORY = re.compile(
    r'out of memory|not enough memory|allocate memory|ALLOC_FAILED'
)
_NO_MEMORY = dict(row=dict(error='out of memory'))


class Steps(NamedTuple):
    """The training steps that are measured."""

    config: str
    cfg_options: dict | None = None
    iters: int = 5  # timed steps
    warmup: int = 2  # steps before them
    seed: int = 0  # seed of weights and samples
    checkpoint: str | None = None  # None: random weights


def benchmark_train(
    steps: Steps, batches: Sequence[int], random: bool = False
) -> dict:
    """Seconds, memory and shares of steps, with a new process per batch size.

    Batch sizes are numbers of chips. ``random`` chips are noise with random
    boxes.

    Raises:
        ValueError: The config has no training, or too few samples.
        ChildProcessError: A batch raised an error.
    """
    set_random_seed(steps.seed)
    cfg = load_config(steps.config, steps.cfg_options)
    for key in ('model', 'optim_wrapper'):
        if cfg.get(key) is None:
            raise ValueError(f'{cfg.filename} has no {key}.')
    source = random_chips if random else chips_of_config
    chips, collate = source(cfg, max(batches), steps.seed)
    kind = 'random' if random else 'of the config'
    about, rows = dict(config=steps.config, chips=kind, seed=steps.seed), []
    for batch in batches:
        found = in_new_process(steps, batch, collate(chips[:batch]))
        about.update(found.get('about', {}))
        rows.append(dict(batch=batch, **found['row']))
    return dict(about, batches=rows)


def in_new_process(steps: Steps, batch: int, data: dict) -> dict:
    """Run :func:`measure` for a batch in a process of its own.

    Peak memory belongs to a process, so no other batch may run in it.
    """
    work = pickle.dumps((steps, batch, data))
    command = [sys.executable, '-m', __name__]
    child = subprocess.run(command, input=work, stdout=subprocess.PIPE)
    found = {}
    for line in child.stdout.splitlines():
        if line.startswith(b'{'):  # mmdet prints when it is imported
            found.update(json.loads(line))
    if 'error' in found:
        raise ValueError(found['error'])
    if child.returncode == -9:  # killed: Linux is out of memory
        found.update(_NO_MEMORY)
    elif child.returncode:
        raise ChildProcessError(
            'a batch failed: see the error above. Received: exit status '
            f'{child.returncode}.'
        )
    return found


def measure_from_stdin() -> None:
    """Print the results of :func:`measure` as JSON, in the new process."""
    work = pickle.load(sys.stdin.buffer)
    say = functools.partial(print, file=sys.stdout, flush=True)
    # Lines that are printed while a model is built are no results.
    with quiet():
        try:
            # Line by line: printed results survive if the process dies.
            for found in measure(*work):
                say(json.dumps(found))
        except Exception as error:
            text = str(error)
            if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
                say(json.dumps(_NO_MEMORY))
            # With this mmengine reports that mixed precision needs a GPU.
            elif isinstance(error, (AssertionError, OSError, ValueError)):
                say(json.dumps(dict(error=text)))
            else:
                raise


def measure(steps: Steps, batch: int, data: dict) -> Iterator[dict]:
    """Yield facts about the measurement, ``about``, and results, ``row``."""
    MMLogger.get_instance('benchmark', log_level='WARNING')
    for name in ('epoch', 'iter'):  # some models read them
        MessageHub.get_current_instance().update_info(name, 0)
    set_random_seed(steps.seed)
    cfg = load_config(steps.config, steps.cfg_options)
    env = cfg.get('env_cfg', {})
    torch.backends.cudnn.benchmark = env.get('cudnn_benchmark', False)
    model = build_detector(cfg, nn.Module)
    model.init_weights()
    if steps.checkpoint:
        weights = read_weights(steps.checkpoint)
        require_fit(model, weights, steps.checkpoint)
    device = get_device()
    model.to(device).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    # All steps see the same network, and no step makes it diverge.
    for group in optim_wrapper.param_groups:
        group['lr'] = 0.0
    with optim_wrapper.optim_context(model):
        one = torch.ones(1, 1, device=device)
        dtype = str((one @ one).dtype).removeprefix('torch.')
    about = dict(device=device_name(device), threads=torch.get_num_threads())
    yield dict(about=dict(about, dtype=dtype))
    synchronize = getattr(torch, device).synchronize

    def seconds_of_steps(num):
        times = []
        for _ in range(num):
            # Preprocessors change samples, also the sizes of boxes.
            inputs = copy.deepcopy(data)
            synchronize()
            start = time.perf_counter()
            model.train_step(inputs, optim_wrapper)
            synchronize()
            times.append(time.perf_counter() - start)
        return times

    prepare_cpu()
    peak_memory = peak_meter(device)
    seconds_of_steps(steps.warmup)
    seconds = statistics.median(seconds_of_steps(steps.iters))
    peak = peak_memory()
    # Shares have their own steps: to wait for each part slows a GPU down.
    spent = dict.fromkeys(PARTS, 0.0)
    with watch(not_network(model), spent, synchronize):
        whole = sum(seconds_of_steps(steps.iters))
    row = dict(
        seconds_a_chip=seconds / batch,
        peak_memory_mb_a_chip=None if peak is None else peak / batch,
        peak_memory_mb=peak,
    )
    row.update({f'share_{part}': spent[part] / whole for part in PARTS})
    row['share_not_network'] = sum(spent.values()) / whole
    yield dict(row=row)


def not_network(model: nn.Module) -> list[tuple[object, str, str]]:
    """(owner, name, part) of the methods in the docstring of the module."""
    found = {}
    for module in model.modules():
        for name in dir(type(module)):
            part = _METHODS.get(name)
            # loss_and_target is more than targets.
            if _TARGETS.search(name) and 'loss' not in name:
                part = 'targets'
            if part and isroutine(getattr_static(type(module), name)):
                found[id(module), name] = module, name, part
        for attribute, value in vars(module).items():
            owners = value if isinstance(value, (list, tuple)) else [value]
            for kind, name, part in _KEPT:
                # A cascade has one per stage.
                for owner in owners if attribute.endswith(kind) else ():
                    if hasattr(owner, name):
                        found[id(owner), name] = owner, name, part
    return list(found.values())


def peak_meter(device: str) -> Callable[[], float | None]:
    """A function that returns the peak from now on, see the module.

    The peak is in MB; None if it is not known.
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        return lambda: torch.cuda.max_memory_allocated() / 2**20
    gc.collect()
    # Resets VmHWM. If that is not allowed, the peak includes earlier work.
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')
    before = memory('VmRSS')
    return lambda: before and (memory('VmHWM') - before) / 2**20


def device_name(device: str) -> str:
    """The name of a GPU, or of this machine's processor."""
    if device == 'cuda':
        return torch.cuda.get_device_name()
    info = Path('/proc/cpuinfo')
    text = info.read_text() if info.exists() else ''
    found = re.search(r'model name\s*: (.+)', text)
    return found[1] if found else platform.processor() or device


if __name__ == '__main__':
    measure_from_stdin()
