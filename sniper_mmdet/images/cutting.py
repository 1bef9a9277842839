"""Pixels of a level, without resizing all of it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sniper_mmdet.utils.image import resize, resize_exactly

from .source import ImageSource


def resize_whole(
    img: np.ndarray | ImageSource, size: tuple[int, int]
) -> np.ndarray:
    """All of an image at (width, height)."""
    if isinstance(img, ImageSource):
        return img.read((0, 0, *img.shape[1::-1]), size)
    return resize(img, size)


def resize_whole_exactly(
    img: np.ndarray | ImageSource, factor: float
) -> np.ndarray:
    """All of an image by a factor, float32."""
    if isinstance(img, ImageSource):
        size = img.shape[1::-1]
        img = img.read((0, 0, *size), size)
    return resize_exactly(img, factor)


class LevelPart(NamedTuple):
    """How a region of an image is cut out and resized to a level.

    Whole original pixels around the region are resized, and the region's own
    level pixels are cut from that; a region that is the image gives what
    resizing the image gives.

    Attributes:
        around (tuple[int]): (left, top, right, bottom), original pixels.
        size (tuple[int]): (w, h) that these are resized to.
        own (tuple[int]): (left, top, right, bottom) of the region's pixels in
            that.
    """

    around: tuple[int, int, int, int]
    size: tuple[int, int]
    own: tuple[int, int, int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """(fx, fy) from original to level pixels, up to rounding as asked."""
        left, top, right, bottom = self.around
        return self.size[0] / (right - left), self.size[1] / (bottom - top)

    @property
    def offset(self) -> tuple[float, float]:
        """(x, y), so that ``original = (pixel + offset) / scale``."""
        scale, around, own = self.scale, self.around, self.own
        return around[0] * scale[0] + own[0], around[1] * scale[1] + own[1]


def part_of_level(
    shape: tuple[int, int],
    region: Sequence[float],
    scale: tuple[float, float],
) -> LevelPart:
    """How a region of an image is cut out and resized.

    Args:
        shape (tuple[int]): (height, width) of the image.
        region (Sequence[float]): (x1, y1, x2, y2), original pixels.
        scale (tuple[float]): (fx, fy) from original to level pixels.
    """
    height, width = shape
    x1, y1, x2, y2 = (float(v) for v in region)
    fx, fy = scale
    left, top = math.floor(x1 + 1e-3), math.floor(y1 + 1e-3)
    right = min(math.ceil(x2 - 1e-3), width)
    bottom = min(math.ceil(y2 - 1e-3), height)
    wide, high = right - left, bottom - top
    size = max(round(wide * fx), 1), max(round(high * fy), 1)
    w = min(max(round((x2 - x1) * fx), 1), size[0])
    h = min(max(round((y2 - y1) * fy), 1), size[1])
    # What is cut has all of its pixels, wherever rounding puts it.
    x = min(round((x1 - left) * fx), size[0] - w)
    y = min(round((y1 - top) * fy), size[1] - h)
    return LevelPart((left, top, right, bottom), size, (x, y, x + w, y + h))


def cut_level(
    img: np.ndarray | ImageSource,
    region: Sequence[float],
    scale: tuple[float, float],
) -> tuple[np.ndarray, tuple[float, float], tuple[float, float], tuple]:
    """Cut a region out of an image and resize it to its level.

    Args:
        img (ndarray | ImageSource): (H, W, 3), original pixels. Of a source
            no more is read than the region.
        region (Sequence[float]): (x1, y1, x2, y2), original pixels.
        scale (tuple[float]): (fx, fy) from original to level pixels.

    Returns:
        tuple: The pixels (h, w, 3); their scale and offset, see
        :class:`LevelPart`; and its ``around`` and ``size``, for masks.
    """
    part = part_of_level(img.shape[:2], region, scale)
    (left, top, right, bottom), size, (x1, y1, x2, y2) = part
    if isinstance(img, ImageSource):
        resized = img.read(part.around, size)
    else:
        resized = resize(img[top:bottom, left:right], size)
    resized = resized[y1:y2, x1:x2]
    return resized, part.scale, part.offset, (part.around, size)
