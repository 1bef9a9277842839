"""Parts of levels that are cut and resized where the detector runs."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sniper_mmdet.images import ImageSource, part_of_level


def move_images(images: Sequence[Tensor], device: torch.device) -> list:
    """Images (3, H, W) on a device, as (H, W, 3); each is copied once.

    To CUDA by way of pinned memory, so that nothing waits for the copy. A
    source stays what it is.
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
    """:func:`~sniper_mmdet.images.cut_level` of an image on any device.

    Its pixels differ by at most one grey level from those of mmcv's
    ``imresize``, which computes with 11 bits after the point. No more of the
    image becomes float32 than the part has pixels: torch's ``interpolate``
    would need all that a coarse level is made from.

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
    """Of new pixels first to last: the two old ones that each lies between.

    Also how much the further one counts, (N, 1). Coordinates are computed in
    float64, as OpenCV does.
    """
    at = (np.arange(first, last) + 0.5) * (old / new) - 0.5
    at = at.clip(0, old - 1)
    near = at.astype(np.int64)
    found = near, np.minimum(near + 1, old - 1), np.float32(at - near)[:, None]
    cuda = device.type == 'cuda'  # elsewhere the copy might come too late
    return [torch.from_numpy(x).to(device, non_blocking=cuda) for x in found]
