"""Measures the loading of samples beside mmdet's own pipeline."""

import timeit

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config

from sniper_mmdet.engine.build_data import build_chip_dataset

_SCALES = [(1333, side) for side in range(480, 801, 32)]
#: The usual pipeline of multi-scale training.
MULTI_SCALE = (
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomChoiceResize', scales=_SCALES, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
)


def benchmark_pipeline(
    cfg: Config, num: int = 200, repeats: int = 3, seed: int = 0
) -> dict[str, float]:
    """Samples per second of one worker: chips, and mmdet's multi-scale.

    Each of ``repeats`` loads ``num`` random samples; the fastest counts.
    """
    cv2.setNumThreads(0)  # as in a worker
    torch.set_num_threads(1)
    dataset = build_chip_dataset(cfg)
    rng = np.random.default_rng(seed)
    table = dataset.mine(seed, 0)
    rows = table[rng.integers(0, len(table), num)]
    peer = Compose(MULTI_SCALE)

    def ours():
        for row in rows:
            dataset[row]

    def mmdets():
        for i in rows['image'].tolist():
            peer(dataset.dataset.get_data_info(i))

    ours(), mmdets()  # both then read files from memory
    times = [  # alternating: the load of the machine is the same
        [timeit.timeit(function, number=1) for function in (ours, mmdets)]
        for _ in range(repeats)
    ]
    chips, whole = (num / np.min(times, 0)).tolist()
    return dict(
        samples=num,
        samples_per_second=chips,
        samples_per_second_mmdet_multi_scale=whole,
        ratio=chips / whole,
    )
