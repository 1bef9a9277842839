"""Masks as cropped parts, until it is known which ones to keep."""

from typing import NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor


class MaskPart(NamedTuple):
    """The smallest rectangle of a mask that holds all of its pixels.

    Attributes:
        x (int): Left end of the part in the image, original pixels.
        y (int): Top end of the part, original pixels.
        pixels (Tensor): (h, w), usually bool.
    """

    x: int
    y: int
    pixels: Tensor


def crop_masks(result: InstanceData) -> InstanceData:
    """Return the result with its masks (N, H, W) as a list of parts.

    Masks that are not a tensor stay as they are: a user's detector may have
    encoded them.
    """
    if isinstance(result.get('masks'), Tensor):
        result.masks = _parts(result.masks)
    return result


def _parts(masks: Tensor) -> list[MaskPart]:
    parts = []
    # The maximum of bytes is many times as fast as any() of bool.
    rows = masks.bool().view(torch.uint8).amax(2).cpu().numpy()
    for mask, filled in zip(masks, rows, strict=True):
        y, bottom = _span(filled)
        mask = mask[y:bottom]
        x, right = _span(mask.any(0).cpu().numpy())
        parts.append(MaskPart(x, y, mask[:, x:right].clone()))
    return parts


def _span(filled: np.ndarray) -> tuple[int, int]:
    """Return the first place that is not 0, and the one after the last."""
    places = np.flatnonzero(filled)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)


def full_masks(result: InstanceData, shape: tuple[int, int]) -> InstanceData:
    """Return the result with its parts as masks (N, H, W) of an image.

    Pixels beyond the image are left out. On the CPU only those pages of memory
    are used in which a mask has pixels.
    """
    parts = result.get('masks')
    if not isinstance(parts, list) or not all(
        isinstance(part, MaskPart) for part in parts
    ):
        return result
    like = parts[0].pixels if parts else result.bboxes.new_zeros(0).bool()
    size = len(parts), *shape
    if like.is_cpu:  # torch would write the zeros
        masks = torch.from_numpy(np.zeros(size, like.numpy().dtype))
    else:
        masks = like.new_zeros(size)
    for mask, (x, y, pixels) in zip(masks, parts, strict=True):
        h, w = pixels.shape
        place = mask[y : y + h, x : x + w]
        place[:] = pixels[: place.shape[0], : place.shape[1]]
    result.masks = masks
    return result
