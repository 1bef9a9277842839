"""Steps of training: what benchmark.py train measures.

A step is what mmengine's runner does with a batch: the data preprocessor, the
losses, their gradients, the update. Loading data and hooks are no part of it.
Of the model, these methods are not the network:

- proposals: ``predict_by_feat`` and ``refine_bboxes`` of heads, which decode
  boxes and leave out all but the best, NMS included;
- targets: ``get_anchors`` and what is named ``*target``, ``*targets`` or
  ``*targets_single`` of heads, and ``assign`` of what they keep as
  ``*assigner``;
- sampling: ``sample`` of what they keep as ``*sampler``.

Of one that another calls, the time counts once, for the inner one. All else
counts as the network, copies and normalised pixels too.

Weights are random, or those of a checkpoint, and stay as they are: the
learning rate is 0. How many proposals NMS leaves out depends on them.

Peak memory is what PyTorch allocated on a GPU, weights included. On a CPU it
is the resident memory of the process, less what was in use before the first
step, weights among it.
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
    """Which steps of training are measured."""

    config: str
    cfg_options: dict | None = None
    iters: int = 5  # timed
    warmup: int = 2  # before those
    seed: int = 0  # of weights and samples
    checkpoint: str | None = None  # without one, weights are random


def benchmark_train(
    steps: Steps, batches: Sequence[int], random: bool = False
) -> dict:
    """Seconds, memory and shares of steps, each batch in a new process.

    Batches are numbers of chips; ``random`` chips are noise with random
    boxes.

    Raises:
        ValueError: The config trains nothing, or has too few samples.
        ChildProcessError: A batch ended in an error.
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
    """What :func:`measure` says of a batch, measured in its own process.

    Peak memory is that of a process: no other batch may have been there.
    """
    work = pickle.dumps((steps, batch, data))
    command = [sys.executable, '-m', __name__]
    child = subprocess.run(command, input=work, stdout=subprocess.PIPE)
    found = {}
    for line in child.stdout.splitlines():
        if line.startswith(b'{'):  # mmdet prints while it is imported
            found.update(json.loads(line))
    if 'error' in found:
        raise ValueError(found['error'])
    if child.returncode == -9:  # killed: Linux, where memory runs out
        found.update(_NO_MEMORY)
    elif child.returncode:
        raise ChildProcessError(
            'a batch ended in the error above. Received: exit status '
            f'{child.returncode}.'
        )
    return found


def measure_from_stdin() -> None:
    """What the new process does: print as JSON what :func:`measure` says."""
    work = pickle.load(sys.stdin.buffer)
    say = functools.partial(print, file=sys.stdout, flush=True)
    # What is printed while a model is built is no part of the result.
    with quiet():
        try:
            # Line by line: what is known survives the end of the process.
            for found in measure(*work):
                say(json.dumps(found))
        except Exception as error:
            text = str(error)
            if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
                say(json.dumps(_NO_MEMORY))
            # mmengine says so that mixed precision wants a GPU.
            elif isinstance(error, (AssertionError, OSError, ValueError)):
                say(json.dumps(dict(error=text)))
            else:
                raise


def measure(steps: Steps, batch: int, data: dict) -> Iterator[dict]:
    """Yields what is measured on, ``about``, and the results, ``row``."""
    MMLogger.get_instance('benchmark', log_level='WARNING')
    for name in ('epoch', 'iter'):  # some models ask
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
    # All steps are to see the same network, and none to make it diverge.
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
            # Preprocessors change samples, sizes of boxes included.
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
    # In steps of their own: on a GPU, waiting for each part takes longer.
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
    """(owner, name, part) of the methods that the module's docstring names."""
    found = {}
    for module in model.modules():
        for name in dir(type(module)):
            part = _METHODS.get(name)
            # loss_and_target holds more than targets.
            if _TARGETS.search(name) and 'loss' not in name:
                part = 'targets'
            if part and isroutine(getattr_static(type(module), name)):
                found[id(module), name] = module, name, part
        for attribute, value in vars(module).items():
            owners = value if isinstance(value, (list, tuple)) else [value]
            for kind, name, part in _KEPT:
                # Of cascades, one a stage.
                for owner in owners if attribute.endswith(kind) else ():
                    if hasattr(owner, name):
                        found[id(owner), name] = owner, name, part
    return list(found.values())


def peak_meter(device: str) -> Callable[[], float | None]:
    """A function that tells the peak from here on; see the module's docstring.

    In MB; None where it cannot be told.
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        return lambda: torch.cuda.max_memory_allocated() / 2**20
    gc.collect()
    # Sets VmHWM back. Where that is not allowed, the peak is of all before.
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')
    before = memory('VmRSS')
    return lambda: before and (memory('VmHWM') - before) / 2**20


def device_name(device: str) -> str:
    """What a GPU or this machine's processor is called."""
    if device == 'cuda':
        return torch.cuda.get_device_name()
    info = Path('/proc/cpuinfo')
    text = info.read_text() if info.exists() else ''
    found = re.search(r'model name\s*: (.+)', text)
    return found[1] if found else platform.processor() or device


if __name__ == '__main__':
    measure_from_stdin()
