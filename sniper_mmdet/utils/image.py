"""Image files, their sizes, and pixels of a level without resizing all."""

import io
import math
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import mmcv
import numpy as np
from mmcv.image import imresize
from PIL import Image

_IMAGES = (
    '.bmp .dib .jfif .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .ras .sr .tif '
    '.tiff .webp'
)
#: What OpenCV reads with 8 bits a channel, some only where it is built in.
IMAGE_SUFFIXES = {
    *_IMAGES.split(),
    *(s for s in ('.avif', '.gif', '.jp2') if cv2.haveImageWriter(f'a{s}')),
}
# Pixels of an image from which on a copy of it matters.
_LARGE = 2**24
_EXIF_ORIENTATION = 0x0112
_HIDDEN = re.compile(r'(^|/)(\.|__MACOSX(/|$))')


def find_files(
    folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES
) -> list[Path]:
    """Files of a folder and of those in it, relative to it, in natural order.

    That is ``2.png`` before ``10.png``. What is hidden is left out, and what
    archives made on a Mac hold beside the files. Suffixes are in lower case,
    with the dot.
    """
    return find_all_files(folder, suffixes)[0]


def find_all_files(
    folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES
) -> tuple[list[Path], list[Path]]:
    """What :func:`find_files` finds, and what it leaves out by its suffix."""
    found, others = [], []
    for path in folder.rglob('*'):
        name = path.relative_to(folder)
        if not path.is_dir() and not _HIDDEN.search(name.as_posix()):
            known = path.suffix.lower() in suffixes
            (found if known else others).append(name)
    return sorted(found, key=_natural), sorted(others, key=_natural)


def _natural(path: Path) -> tuple:
    """Sorts numbers in names as numbers."""
    parts = [re.split(r'(\d+)', part) for part in path.parts]
    for part in parts:
        part[1::2] = map(int, part[1::2])
    return parts, path


def read_image(path: str | Path) -> np.ndarray:
    """An image, uint8 (H, W, 3), BGR.

    Raises:
        OSError: It cannot be read.
    """
    image = None
    with suppress(Exception):  # whatever decoders raise
        image = mmcv.imread(path)
    if image is None:
        raise OSError(f'{path} cannot be read as an image.')
    return image


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height of an image as it is loaded, from its header.

    Raises:
        OSError: It cannot be read.
    """
    # Nothing is decoded: pictures from the air may be as large as they like.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Asked for EXIF that is not there, Pillow would decode the file.
            exif = image.getexif() if 'exif' in image.info else {}
            kind = 'JPEG' if image.format == 'MPO' else image.format
    except SyntaxError as error:  # Pillow's, of a broken PNG
        raise OSError(str(error)) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    turned = exif.get(_EXIF_ORIENTATION, 1) >= 5 and _is_turned(kind)
    return (height, width) if turned else (width, height)


@cache
def _is_turned(kind: str) -> bool:
    """Whether pictures of a format are turned as their camera was.

    It depends on OpenCV's version: none is known that does so with WebP, but
    PNG came later than JPEG.
    """
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = 6
    file = io.BytesIO()
    Image.new('RGB', (2, 1)).save(file, kind, exif=exif)
    return mmcv.imfrombytes(file.getvalue()).shape[:2] == (2, 1)


def resize(img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """mmcv's ``imresize``, which copies no large image.

    OpenCV copies what does not lie pixel by pixel, as a tensor's array; of a
    large image it gets one channel after the other.

    Args:
        img (ndarray): (H, W, 3), or (H, W) as grey images are.
        size (tuple[int]): (width, height).
    """
    if img.shape[0] * img.shape[1] < _LARGE or img.strides[-1] == img.itemsize:
        return imresize(img, size)
    resized = np.empty((*size[::-1], img.shape[2]), img.dtype)
    for channel in range(img.shape[2]):
        resized[..., channel] = imresize(img[..., channel], size)
    return resized


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
    img: np.ndarray, region: Sequence[float], scale: tuple[float, float]
) -> tuple[np.ndarray, tuple[float, float], tuple[float, float], tuple]:
    """Cut a region out of an image and resize it to its level.

    Args:
        img (ndarray): (H, W, 3), original pixels.
        region (Sequence[float]): (x1, y1, x2, y2), original pixels.
        scale (tuple[float]): (fx, fy) from original to level pixels.

    Returns:
        tuple: The pixels (h, w, 3); their scale and offset, see
        :class:`LevelPart`; and its ``around`` and ``size``, for masks.
    """
    part = part_of_level(img.shape[:2], region, scale)
    (left, top, right, bottom), size, (x1, y1, x2, y2) = part
    resized = resize(img[top:bottom, left:right], size)[y1:y2, x1:x2]
    return resized, part.scale, part.offset, (part.around, size)
