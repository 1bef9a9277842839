"""Peak memory of testing one large image, beside that of one batch."""

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

    First two batches of ``max_pixels`` are run, one piece each, then the
    image, ``side`` x ``side`` pixels, is tested. Weights are random, or those
    of a checkpoint.

    Returns:
        dict: In megabytes, ``batch_mb``, the peak after the batches;
        ``image_mb``; ``peak_mb``, that of all; and ``bound_mb``, which it
        should not pass, the batch and the image. ``seconds`` of the test. Of
        an AutoFocus ``pixel_share``, how much of the pyramid it looked at.

    Raises:
        UserError: The system does not tell the peak.
        ValueError: The config's detector is no PyramidDetector.
    """
    if memory('VmHWM') is None:
        raise UserError(
            'the peak of memory is known on Linux only: this system does not.'
        )
    if checkpoint is None:
        model = build_detector(cfg, PyramidDetector).eval()
    else:
        model = load_detector(cfg, checkpoint, PyramidDetector)
    edge = math.isqrt(model.max_pixels)
    for _ in range(2):  # what the first one leaves behind counts too
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
