"""Sizes of images, and pixels of a level without resizing all of it."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.image import imresize
from PIL import Image

_EXIF_ORIENTATION = 0x0112


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height of an image as OpenCV reads it, from its header."""
    with Image.open(path) as image:
        width, height = image.size
        # OpenCV turns a picture as its camera was turned. Asked for EXIF
        # that is not there, Pillow would decode the whole file.
        exif = image.getexif() if 'exif' in image.info else {}
    turned = exif.get(_EXIF_ORIENTATION, 1) >= 5
    return (height, width) if turned else (width, height)


def cut_level(
    img: np.ndarray, region: Sequence[float], scale: tuple[float, float]
) -> tuple[np.ndarray, tuple[float, float], tuple[float, float], tuple]:
    """Cut a region out of an image and resize it to its level.

    Whole original pixels around the region are resized, and the region's own
    level pixels are cut from that; a region that is the image gives what
    resizing the image gives.

    Args:
        img (ndarray): (H, W, 3), original pixels.
        region (Sequence[float]): (x1, y1, x2, y2), original pixels.
        scale (tuple[float]): (fx, fy) from original to level pixels.

    Returns:
        tuple: The pixels (h, w, 3); the scale (w, h) that they have, up to
        rounding the one asked for; their offset (x, y), so that
        ``original = (pixel + offset) / scale``; and what was cut in between,
        ``(left, top, right, bottom)`` in original pixels and its resized size
        (w, h), for masks.
    """
    height, width = img.shape[:2]
    x1, y1, x2, y2 = (float(v) for v in region)
    fx, fy = scale
    left, top = math.floor(x1 + 1e-3), math.floor(y1 + 1e-3)
    right = min(math.ceil(x2 - 1e-3), width)
    bottom = min(math.ceil(y2 - 1e-3), height)
    size = (
        max(round((right - left) * fx), 1),
        max(round((bottom - top) * fy), 1),
    )
    scale = (size[0] / (right - left), size[1] / (bottom - top))
    w = min(max(round((x2 - x1) * fx), 1), size[0])
    h = min(max(round((y2 - y1) * fy), 1), size[1])
    # What is cut has all of its pixels, wherever rounding puts it.
    cut_x = min(round((x1 - left) * fx), size[0] - w)
    cut_y = min(round((y1 - top) * fy), size[1] - h)
    resized = imresize(img[top:bottom, left:right], size)
    return (
        resized[cut_y : cut_y + h, cut_x : cut_x + w],
        scale,
        (left * scale[0] + cut_x, top * scale[1] + cut_y),
        ((left, top, right, bottom), size),
    )
