"""Measures box heads of many classes: a plain one and a decoupled one."""

import gc
import time
from collections.abc import Callable, Sequence

import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from sniper_mmdet.utils.memory import give_back_memory

from .meters import memory

#: Sizes of an FPN's box head, as in MMDetection's base configs.
_CHANNELS, _BINS = 256, 7
_TEST = ConfigDict(
    score_thr=0.001,
    min_objectness=0.01,
    nms_pre=3000,
    nms=dict(type='nms', iou_threshold=0.5),
    max_per_img=100,
)
#: Share of RoIs that are objects.
_POSITIVE = 0.25
HEADS = dict(
    plain=dict(type='Shared2FCBBoxHead'),
    decoupled=dict(type='sniper_mmdet.DecoupledBBoxHead'),
)


def benchmark_many_classes(
    classes: Sequence[int] = (10, 100, 1000, 3130, 10000),
    train_rois: int = 512,
    test_rois: int = 1000,
    repeats: int = 5,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Time and memory of a head for several numbers of classes.

    A training step is forward, loss and backward of the RoIs of one image; a
    quarter of them are positive. A test is forward, scores and NMS. A quarter
    of the tested RoIs are objects, each of one class, with logits like those
    of a trained head. The heads alternate, and the fastest of the repeats
    counts, so that other jobs on the machine do not matter.

    Args:
        classes (Sequence[int]): Numbers of classes.
        train_rois (int): RoIs per training step. Defaults to 512.
        test_rois (int): RoIs per test image. Defaults to 1000.
        repeats (int): Number of repeats. Defaults to 5.
        seed (int): Seed of the random numbers. Defaults to 0.

    Returns:
        dict: By head and number of classes: ``step_s``, ``image_s``,
        ``weights_mb``, and ``peak_mb``, the further memory of one step and one
        image (-1 if the system does not report it). ``step_x`` and ``image_x``
        are the times relative to the head's least number of classes.
    """
    init_default_scope('mmdet')
    rows = {}
    for count in classes:
        torch.manual_seed(seed)
        heads = {name: _head(name, count) for name in HEADS}
        steps = {n: _step(h, train_rois, count) for n, h in heads.items()}
        tests = {n: _test(h, test_rois, count) for n, h in heads.items()}
        for name, head in heads.items():
            rows[f'{name} {count}'] = dict(
                step_s=0.0,
                image_s=0.0,
                weights_mb=sum(p.numel() for p in head.parameters()) * 4e-6,
                peak_mb=_peak(steps[name], tests[name]),
            )
        for key, runs in (('step_s', steps), ('image_s', tests)):
            for name, seconds in _least(runs, repeats).items():
                rows[f'{name} {count}'][key] = seconds
        del heads, steps, tests
    for row_name, row in rows.items():
        first = rows[f'{row_name.split()[0]} {classes[0]}']
        row['step_x'] = row['step_s'] / first['step_s']
        row['image_x'] = row['image_s'] / first['image_s']
    return rows


def _head(name: str, count: int) -> nn.Module:
    return MODELS.build(
        dict(
            HEADS[name],
            in_channels=_CHANNELS,
            roi_feat_size=_BINS,
            num_classes=count,
        )
    )


def _rois(num: int) -> Tensor:
    corners = torch.rand(num, 2) * 700
    boxes = torch.cat([corners, corners + 20 + torch.rand(num, 2) * 100], 1)
    return torch.cat([torch.zeros(num, 1), boxes], 1)


def _step(head: nn.Module, num: int, count: int) -> Callable[[], None]:
    """A function that makes one training step."""
    x, rois = torch.rand(num, _CHANNELS, _BINS, _BINS), _rois(num)
    labels = torch.full((num,), count)
    positive = int(num * _POSITIVE)
    labels[:positive] = torch.randint(0, count, (positive,))
    weights = torch.ones(num), torch.zeros(num, 4), torch.ones(num, 4)

    def run() -> None:
        scores, boxes = head(x)
        losses = head.loss(scores, boxes, rois, labels, *weights)
        sum(v for k, v in losses.items() if 'loss' in k).backward()
        head.zero_grad(set_to_none=True)

    return run


def _test(head: nn.Module, num: int, count: int) -> Callable[[], None]:
    """A function that tests one image of objects and background RoIs."""
    x, rois = torch.rand(num, _CHANNELS, _BINS, _BINS), _rois(num)
    meta = dict(img_shape=(800, 800), scale_factor=(1.0, 1.0))
    objects = int(num * _POSITIVE)
    labels = torch.randint(0, count, (objects,))

    def run() -> None:
        with torch.no_grad():
            scores, boxes = head(x)
            found = head.predict_by_feat(
                (rois,),
                (_trained(head, scores, labels),),
                (boxes,),
                [meta],
                _TEST,
            )
        assert len(found) == 1

    return run


def _trained(head: nn.Module, scores: Tensor, labels: Tensor) -> Tensor:
    """Turn the scores of a random head into those of a trained one.

    Objects get one probable class, and the others probable background.
    """
    count, objects = head.num_classes, torch.arange(len(labels))
    if not hasattr(head, 'num_super'):
        scores[len(labels) :, count] += 12
        scores[objects, labels] += 12
        return scores
    scores[len(labels) :, head.num_super] += 12
    scores[objects, : head.num_super] += 4
    # Features that hold the weights of their class have its logit.
    wanted = head.fc_fine.weight[labels]
    wanted = wanted * 12 / wanted.square().sum(1, keepdim=True)
    scores[objects, head.num_super + 1 : -1] += wanted
    return scores


def _least(
    runs: dict[str, Callable[[], None]], repeats: int
) -> dict[str, float]:
    """The least seconds of functions that take turns."""
    spent = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:  # the first turn is a warm-up
                spent[name].append(time.perf_counter() - start)
    return {name: min(seconds) for name, seconds in spent.items()}


def _peak(*runs: Callable[[], None]) -> float:
    """Peak of resident memory beyond that before, in megabytes."""
    gc.collect()
    give_back_memory()  # freed memory would hide the peak
    try:
        with open('/proc/self/clear_refs', 'w') as file:
            file.write('5')  # reset the peak
    except OSError:
        return -1.0
    before = memory('VmRSS')
    for run in runs:
        run()
    return (memory('VmHWM') - before) * 1e-6
