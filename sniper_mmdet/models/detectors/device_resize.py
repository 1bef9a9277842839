"""Cutting and resizing of parts of levels on the detector's device."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sniper_mmdet.images import ImageSource, part_of_level


def move_images(images: Sequence[Tensor], device: torch.device) -> list:
    """Copy images (3, H, W) to a device, once each, as (H, W, 3).

    The copy to CUDA goes through pinned memory, so that nothing waits for it.
    An image source stays as it is.
    """
    return [
        image if isinstance(image, ImageSource) else _moved(image, device)
        for image in images
    ]


def _moved(image: Tensor, device: torch.device) -> Tensor:
    cuda = device.type == 'cuda'
    if cuda and not image.is_cuda:
        image = image.pin_memory()
    return image.to(device, non_blocking=cuda).permute(1, 2, 0)


def cut_on_device(
    img: Tensor, region: Sequence[float], scale: tuple[float, float]
) -> tuple[Tensor, tuple[float, float], tuple[float, float]]:
    """Cut a level from an image on any device.

    It does what :func:`~sniper_mmdet.images.cut_level` does on the CPU. Its
    pixels differ by at most one grey level from those of mmcv's ``imresize``,
    which computes with 11 bits after the point. Only as many pixels as the
    part has become float32: torch's ``interpolate`` would convert all pixels
    from which a coarse level is made.

    Args:
        img (Tensor): uint8 (H, W, 3), original pixels.
        region (Sequence[float]): (x1, y1, x2, y2), original pixels.
        scale (tuple[float]): (fx, fy) from original to level pixels.

    Returns:
        tuple: The pixels, uint8 (h, w, 3); their scale; and their offset.
    """
    part = part_of_level(img.shape[:2], region, scale)
    (left, top, right, bottom), size, (x1, y1, x2, y2) = part
    rows = _neighbours(bottom - top, size[1], y1, y2, img.device)
    columns = _neighbours(right - left, size[0], x1, x2, img.device)
    img = img[top:bottom, left:right]
    lines = []
    for line in rows[:2]:
        pixels = img.index_select(0, line)
        near, far = (pixels.index_select(1, x).float() for x in columns[:2])
        lines.append(near.lerp(far, columns[2]))
    pixels = lines[0].lerp(lines[1], rows[2][:, None]).round()
    return pixels.to(img.dtype), part.scale, part.offset


def _neighbours(old, new, first, last, device) -> list[Tensor]:
    """Return the two old pixels between which each new pixel lies.

    The new pixels are ``first`` to ``last``. The weight of the second old
    pixel, (N, 1), is returned too. Coordinates are float64, as in OpenCV.
    """
    at = (np.arange(first, last) + 0.5) * (old / new) - 0.5
    at = at.clip(0, old - 1)
    near = at.astype(np.int64)
    found = near, np.minimum(near + 1, old - 1), np.float32(at - near)[:, None]
    cuda = device.type == 'cuda'  # elsewhere the copy may be late
    return [torch.from_numpy(x).to(device, non_blocking=cuda) for x in found]
