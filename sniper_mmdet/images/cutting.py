"""Cutting of a part of a level, without resizing the whole level."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sniper_mmdet.utils.image import resize, resize_exactly

from .source import ImageSource


def resize_whole(
    img: np.ndarray | ImageSource, size: tuple[int, int]
) -> np.ndarray:
    """Return the whole image, resized to (width, height)."""
    if isinstance(img, ImageSource):
        return img.read((0, 0, *img.shape[1::-1]), size)
    return resize(img, size)


def resize_whole_exactly(
    img: np.ndarray | ImageSource, factor: float
) -> np.ndarray:
    """Return the whole image, resized by a factor, float32."""
    if isinstance(img, ImageSource):
        size = img.shape[1::-1]
        img = img.read((0, 0, *size), size)
    return resize_exactly(img, factor)


class LevelPart(NamedTuple):
    """Geometry of a region of an image that is resized to a level.

    Whole original pixels around the region are resized, and the region's level
    pixels are cut from the result. A region that covers the image gives the
    resized image.

    Attributes:
        around (tuple[int]): (left, top, right, bottom), original pixels.
        size (tuple[int]): (w, h) to which these pixels are resized.
        own (tuple[int]): (left, top, right, bottom) of the region's pixels in
            the resized image.
    """

    around: tuple[int, int, int, int]
    size: tuple[int, int]
    own: tuple[int, int, int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """tuple[float]: (fx, fy) from original to level pixels."""
        left, top, right, bottom = self.around
        return self.size[0] / (right - left), self.size[1] / (bottom - top)

    @property
    def offset(self) -> tuple[float, float]:
        """tuple[float]: (x, y); ``original = (pixel + offset) / scale``."""
        scale, around, own = self.scale, self.around, self.own
        return around[0] * scale[0] + own[0], around[1] * scale[1] + own[1]


def part_of_level(
    shape: tuple[int, int],
    region: Sequence[float],
    scale: tuple[float, float],
) -> LevelPart:
    """Compute how a region of an image is resized to a level.

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
    # The part keeps all of its pixels, wherever rounding puts it.
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
        img (ndarray | ImageSource): (H, W, 3), original pixels. From a source
            only the region is read.
        region (Sequence[float]): (x1, y1, x2, y2), original pixels.
        scale (tuple[float]): (fx, fy) from original to level pixels.

    Returns:
        tuple: The pixels (h, w, 3); their scale and offset, see
        :class:`LevelPart`; and ``around`` and ``size`` of that part, for
        masks.

    Examples:
        >>> import numpy as np
        >>> image = np.zeros((600, 800, 3), np.uint8)
        >>> pixels, scale, offset, _ = cut_level(
        ...     image, (100, 50, 500, 350), (0.5, 0.5))
        >>> pixels.shape, scale
        ((150, 200, 3), (0.5, 0.5))
    """
    part = part_of_level(img.shape[:2], region, scale)
    (left, top, right, bottom), size, (x1, y1, x2, y2) = part
    if isinstance(img, ImageSource):
        resized = img.read(part.around, size)
    else:
        resized = resize(img[top:bottom, left:right], size)
    resized = resized[y1:y2, x1:x2]
    return resized, part.scale, part.offset, (part.around, size)
