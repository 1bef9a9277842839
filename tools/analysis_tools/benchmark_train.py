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
import gc
import inspect
import json
import pickle
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from benchmark_common import random_boxes, watch

PARTS = ('proposals', 'targets', 'sampling')
_METHODS = dict(
    predict_by_feat='proposals',
    refine_bboxes='proposals',
    get_anchors='targets',
)
_TARGETS = re.compile(r'(^|_)targets?(_single)?$')
_OUT_OF_MEMORY = re.compile(
    r'out of memory|not enough memory|allocate memory|ALLOC_FAILED'
)
# Of a random chip, and how many of them are out of its range.
_NUM_BOXES, _NUM_IGNORED = 12, 4


def benchmark_train(args):
    """Seconds, memory and shares of steps, each batch in a new process."""
    from mmengine.runner import set_random_seed

    from sniper_mmdet.engine.build import load_config

    set_random_seed(args.seed)
    cfg = load_config(args.config, args.cfg_options)
    for key in ('model', 'optim_wrapper'):
        if cfg.get(key) is None:
            raise ValueError(f'{cfg.filename} has no {key}.')
    source = random_chips if args.random else chips_of_config
    chips, collate = source(cfg, max(args.batch), args.seed)
    about, rows = {}, []
    for batch in args.batch:
        found = in_new_process(args, batch, collate(chips[:batch]))
        about.update(found.get('about', {}))
        rows.append(dict(batch=batch, **found['row']))
    return dict(
        config=args.config,
        chips='random' if args.random else 'of the config',
        seed=args.seed,
        **about,
        batches=rows,
    )


def chips_of_config(cfg, num, seed):
    """The first samples of training, and the function that collates some."""
    from mmengine.runner import Runner

    loader = cfg.get('train_dataloader') or {}
    if loader.get('dataset') is None:
        raise ValueError(f'{cfg.filename} has no train_dataloader.dataset.')
    loader = dict(
        loader, batch_size=num, num_workers=0, persistent_workers=False
    )
    for key in ('num_batch_per_epoch', 'prefetch_factor'):
        loader.pop(key, None)
    loader = Runner.build_dataloader(loader, seed=seed)
    rows = next(iter(loader.batch_sampler), [])
    if len(rows) < num:
        raise ValueError(
            f'--batch must be at most the number of samples, {len(rows)}. '
            f'Received: {num}.'
        )
    return [loader.dataset[row] for row in rows], loader.collate_fn


def random_chips(cfg, num, seed):
    """As :func:`chips_of_config`, without any data: noise, random boxes.

    Of a chip's boxes the smallest and the largest are out of its range. Masks
    are there where the model has a mask head.
    """
    from mmdet.registry import TRANSFORMS
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import BitmapMasks
    from mmengine.dataset import pseudo_collate

    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    side = dataset.get('chip_size')
    if not isinstance(side, int) or side < 1:
        raise ValueError(
            f'{cfg.filename}: --random needs a whole number in '
            'train_dataloader.dataset.chip_size, which --cfg-options can '
            f'give. Received: {side}.'
        )
    pack = (dataset.get('pipeline') or [{}])[-1]
    if str(pack.get('type')).split('.')[-1] != 'PackDetInputs':
        pack = dict(type='PackDetInputs')
    pack = TRANSFORMS.build(pack)
    heads = [head for head in _values(cfg.model, 'bbox_head') if head]
    classes = min(_values(heads, 'num_classes'), default=1)
    masked = any(_values(cfg.model, 'mask_head'))
    images = random_boxes(
        num, _NUM_BOXES, seed, (side, side), (side / 32, 0.9 * side)
    )
    rng = np.random.default_rng(seed)
    chips = []
    for index in range(num):
        boxes = images.of_image(index)
        sizes = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
        boxes, sizes = boxes[sizes.argsort()], np.sort(sizes)
        few = _NUM_IGNORED // 2
        ignored = np.ones(_NUM_BOXES, bool)
        ignored[few:-few] = False
        chip = dict(
            img=rng.integers(0, 256, (side, side, 3), np.uint8),
            img_id=index,
            ori_shape=(side, side),
            img_shape=(side, side),
            scale_factor=(1.0, 1.0),
            flip=False,
            chip_range=(float(sizes[few]), float(sizes[-1 - few])),
            gt_bboxes=HorizontalBoxes(boxes.astype(np.float32)),
            gt_bboxes_labels=rng.integers(0, classes, _NUM_BOXES),
            gt_ignore_flags=ignored,
        )
        if masked:
            masks = np.zeros((_NUM_BOXES, side, side), np.uint8)
            for mask, (x1, y1, x2, y2) in zip(
                masks, boxes.round().astype(int), strict=True
            ):
                mask[y1:y2, x1:x2] = 1
            chip['gt_masks'] = BitmapMasks(masks, side, side)
        chips.append(pack(chip))
    return chips, pseudo_collate


def _values(cfg, key):
    """All values of a key, at any depth of a config."""
    if isinstance(cfg, dict):
        found = [cfg[key]] if key in cfg else []
        children = list(cfg.values())
    else:
        found, children = [], cfg if isinstance(cfg, (list, tuple)) else ()
    return found + [v for child in children for v in _values(child, key)]


def in_new_process(args, batch, data):
    """What :func:`measure` says of a batch, measured in its own process.

    Peak memory is that of a process: no other batch may have been there.
    """
    child = subprocess.run(
        [sys.executable, __file__],
        input=pickle.dumps((args, batch, data)),
        stdout=subprocess.PIPE,
    )
    found = {}
    for line in child.stdout.splitlines():
        found.update(json.loads(line))
    if 'error' in found:
        raise ValueError(found['error'])
    if child.returncode == -9:  # killed: Linux, where memory runs out
        found['row'] = dict(error='out of memory')
    elif child.returncode:
        raise ChildProcessError(
            'a batch ended in the error above. Received: exit status '
            f'{child.returncode}.'
        )
    return found


def measure_from_stdin():
    work = pickle.load(sys.stdin.buffer)
    out = sys.stdout
    # What is printed while a model is built is no part of the result.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            # Line by line: what is known survives the end of the process.
            for found in measure(*work):
                print(json.dumps(found), file=out, flush=True)
        except Exception as error:
            if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(
                str(error)
            ):
                found = dict(row=dict(error='out of memory'))
            # mmengine says so that mixed precision wants a GPU.
            elif isinstance(error, (AssertionError, OSError, ValueError)):
                found = dict(error=str(error))
            else:
                raise
            print(json.dumps(found), file=out, flush=True)


def measure(args, batch, data):
    """Yields what is measured on, ``about``, and the results, ``row``."""
    import torch
    from mmengine.device import get_device
    from mmengine.logging import MessageHub, MMLogger
    from mmengine.optim import build_optim_wrapper
    from mmengine.runner import load_checkpoint, set_random_seed

    from sniper_mmdet.engine.build import load_config
    from sniper_mmdet.engine.cpu import prepare_cpu
    from sniper_mmdet.registry import MODELS

    MMLogger.get_instance('benchmark', log_level='WARNING')
    for name in ('epoch', 'iter'):  # some models ask
        MessageHub.get_current_instance().update_info(name, 0)
    set_random_seed(args.seed)
    cfg = load_config(args.config, args.cfg_options)
    torch.backends.cudnn.benchmark = cfg.get('env_cfg', {}).get(
        'cudnn_benchmark', False
    )
    model = MODELS.build(without_pretrained(cfg.model))
    model.init_weights()
    if args.checkpoint:
        load_checkpoint(model, args.checkpoint, map_location='cpu')
    device = get_device()
    model.to(device).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    # All steps are to see the same network, and none to make it diverge.
    for group in optim_wrapper.param_groups:
        group['lr'] = 0.0
    with optim_wrapper.optim_context(model):
        one = torch.ones(1, 1, device=device)
        dtype = str((one @ one).dtype).removeprefix('torch.')
    yield dict(
        about=dict(
            device=device_name(device),
            threads=torch.get_num_threads(),
            dtype=dtype,
        )
    )

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
    before = start_of_peak(device)
    seconds_of_steps(args.warmup)
    seconds = statistics.median(seconds_of_steps(args.iters))
    memory = peak_memory(device, before)
    # In steps of their own: on a GPU, waiting for each part takes longer.
    spent = dict.fromkeys(PARTS, 0.0)
    with watch(not_network(model), spent, synchronize):
        whole = sum(seconds_of_steps(args.iters))
    row = dict(
        seconds_a_chip=seconds / batch,
        peak_memory_mb_a_chip=None if memory is None else memory / batch,
        peak_memory_mb=memory,
    )
    for part in PARTS:
        row[f'share_{part}'] = spent[part] / whole
    row['share_not_network'] = sum(spent.values()) / whole
    yield dict(row=row)


def without_pretrained(cfg):
    """A model's config that needs no file of weights: time does not."""
    if isinstance(cfg, dict):
        return type(cfg)(
            {
                key: without_pretrained(value)
                for key, value in cfg.items()
                if key != 'init_cfg'
                or not isinstance(value, dict)
                or value.get('type') != 'Pretrained'
            }
        )
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(without_pretrained(value) for value in cfg)
    return cfg


def not_network(model):
    """(owner, name, part) of the methods that the module's docstring names."""
    found = {}
    for module in model.modules():
        for name in dir(type(module)):
            part = _METHODS.get(name)
            # loss_and_target holds more than targets.
            if _TARGETS.search(name) and 'loss' not in name:
                part = 'targets'
            if part and inspect.isroutine(
                inspect.getattr_static(type(module), name)
            ):
                found[id(module), name] = module, name, part
        for attribute, value in vars(module).items():
            owners = value if isinstance(value, (list, tuple)) else [value]
            for kind, name, part in (
                ('assigner', 'assign', 'targets'),
                ('sampler', 'sample', 'sampling'),
            ):
                if not attribute.endswith(kind):
                    continue
                for owner in owners:  # of cascades, one a stage
                    if hasattr(owner, name):
                        found[id(owner), name] = owner, name, part
    return list(found.values())


def start_of_peak(device):
    """Bytes in use; the peak is counted from here on."""
    if device == 'cuda':
        import torch

        torch.cuda.reset_peak_memory_stats()
        return 0
    gc.collect()
    # Sets VmHWM back. Where that is not allowed, the peak is of all before.
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')
    return resident('VmRSS')


def peak_memory(device, before):
    """MB; on a CPU, above what was in use. None where it cannot be told."""
    if device == 'cuda':
        import torch

        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resident('VmHWM')
    return None if before is None else (peak - before) / 2**20


def resident(field):
    """Bytes of a field of /proc/self/status; None where there is none."""
    status = Path('/proc/self/status')
    if not status.exists():
        return None
    found = re.search(rf'{field}:\s*(\d+) kB', status.read_text())
    return int(found[1]) * 1024


def device_name(device):
    if device == 'cuda':
        import torch

        return torch.cuda.get_device_name()
    info = Path('/proc/cpuinfo')
    found = info.exists() and re.search(
        r'model name\s*: (.+)', info.read_text()
    )
    return found[1] if found else platform.processor() or device


def print_table(result):
    rows = result.pop('batches')
    for key, value in result.items():
        print(f'{key:10}{value}')
    head = ('batch', 's/chip', 'MB/chip', 'MB', *PARTS, 'not network')
    print()
    print(' '.join(f'{name:>11}' for name in head))
    for row in rows:
        batch, *values = row.values()
        if 'error' in row:
            print(f'{batch:11} {row["error"]:>11}')
            continue
        cells = [
            f'{"-":>11}' if value is None else f'{value:11.{digits}f}'
            for value, digits in zip(
                values, (4, 1, 1, 3, 3, 3, 3), strict=True
            )
        ]
        print(f'{batch:11}', *cells)


if __name__ == '__main__':
    measure_from_stdin()
