"""Measures peak memory of a test of one large image, and of one batch."""

import math
import time

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config

from sniper_mmdet.engine.checkpoints import build_detector, load_detector
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.utils.errors import UserError

from .meters import memory


def benchmark_memory(
    cfg: Config, side: int, checkpoint: str | None = None
) -> dict[str, float]:
    """Peak memory of a process that tests an image of noise.

    Two batches of ``max_pixels`` come first, each of one piece. Then the
    image, ``side`` x ``side`` pixels, is tested. Weights are random, or those
    of a checkpoint.

    Returns:
        dict: In megabytes ``batch_mb``, the peak after the batches;
        ``image_mb``; ``peak_mb``, the peak after the test; and ``bound_mb``,
        batch and image, which the peak should not exceed. Also ``seconds`` of
        the test, and with AutoFocus ``pixel_share``, the share of the
        pyramid's pixels that it looked at.

    Raises:
        UserError: The system does not report the peak.
        ValueError: The config's detector is not a PyramidDetector.
    """
    if memory('VmHWM') is None:
        raise UserError(
            'only Linux reports the peak of memory; this system does not.'
        )
    if checkpoint is None:
        model = build_detector(cfg, PyramidDetector).eval()
    else:
        model = load_detector(cfg, checkpoint, PyramidDetector)
    edge = math.isqrt(model.max_pixels)
    for _ in range(2):  # memory that the first one keeps counts too
        with torch.no_grad():
            model.run_detector([_noise(edge)], [_sample(edge)])
    batch = memory('VmHWM')
    image = _noise(side)
    start = time.perf_counter()
    (found,) = model.predict([image], [_sample(side)])
    seconds = time.perf_counter() - start
    sizes = dict(batch=batch, image=image.numel(), peak=memory('VmHWM'))
    sizes['bound'] = batch + image.numel()
    result = {f'{name}_mb': size / 1e6 for name, size in sizes.items()}
    if 'focus' in found:
        seen, whole = found.focus['pixels'], found.focus['pyramid_pixels']
        result['pixel_share'] = sum(seen) / sum(whole)
    return dict(result, seconds=seconds)


def _noise(side: int) -> torch.Tensor:
    return torch.randint(256, (3, side, side), dtype=torch.uint8)


def _sample(side: int) -> DetDataSample:
    shape = side, side
    return DetDataSample(
        metainfo=dict(ori_shape=shape, img_shape=shape, scale_factor=(1, 1))
    )
