"""Image files: search, reading, sizes, resizing."""

import io
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmcv.image import imresize
from PIL import Image

_IMAGES = (
    '.bmp .dib .jfif .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .ras .sr .tif '
    '.tiff .webp'
)
#: Suffixes that OpenCV reads with 8 bits per channel, some only in some
#: builds.
IMAGE_SUFFIXES = {
    *_IMAGES.split(),
    *(s for s in ('.avif', '.gif', '.jp2') if cv2.haveImageWriter(f'a{s}')),
}
# Number of pixels from which on a copy of an image is expensive.
_LARGE = 2**24
_EXIF_ORIENTATION = 0x0112
_HIDDEN = re.compile(r'(^|/)(\.|__MACOSX(/|$))')


def find_files(
    folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES
) -> list[Path]:
    """List files of a folder, recursively, relative to it, in natural order.

    Natural order has ``2.png`` before ``10.png``. Hidden files are left out,
    and so are the extra files of archives that were made on a Mac. Suffixes
    are in lower case, with the dot.
    """
    return find_all_files(folder, suffixes)[0]


def find_all_files(
    folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES
) -> tuple[list[Path], list[Path]]:
    """Return the result of :func:`find_files`, and files of other suffixes."""
    found, others = [], []
    for path in folder.rglob('*'):
        name = path.relative_to(folder)
        if not path.is_dir() and not _HIDDEN.search(name.as_posix()):
            known = path.suffix.lower() in suffixes
            (found if known else others).append(name)
    return sorted(found, key=_natural), sorted(others, key=_natural)


def _natural(path: Path) -> tuple:
    """Sort key that compares numbers in names as numbers."""
    parts = [re.split(r'(\d+)', part) for part in path.parts]
    for part in parts:
        part[1::2] = map(int, part[1::2])
    return parts, path


def read_image(path: str | Path, any_depth: bool = False) -> np.ndarray:
    """Read an image, uint8 (H, W, 3), BGR; ``any_depth`` keeps 16 bits.

    Raises:
        OSError: The file cannot be read.
    """
    image = None
    how = {}
    if any_depth:
        flag = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        how = dict(flag=flag, backend='cv2')
    with suppress(Exception):  # decoders' errors differ
        image = mmcv.imread(path, **how)
    if image is None:
        raise OSError(f'{path} cannot be read as an image.')
    return image


def image_size(path: str | Path) -> tuple[int, int]:
    """Read the width and height of an image, as loaded, from its header.

    Raises:
        OSError: The file cannot be read.
    """
    # Nothing is decoded, so that aerial images may have any size.
    try:
        with images_of_any_size(), Image.open(path) as image:
            width, height = image.size
            # Pillow would decode the file to look for EXIF that is not there.
            exif = image.getexif() if 'exif' in image.info else {}
            kind = 'JPEG' if image.format == 'MPO' else image.format
    except SyntaxError as error:  # Pillow's error of a broken PNG
        raise OSError(str(error)) from error
    turned = exif.get(_EXIF_ORIENTATION, 1) >= 5 and _is_turned(kind)
    return (height, width) if turned else (width, height)


@contextmanager
def images_of_any_size() -> Iterator[None]:
    """A context in which Pillow opens images of any size."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@cache
def _is_turned(kind: str) -> bool:
    """Whether OpenCV applies EXIF's orientation to images of a format.

    That depends on OpenCV's version: no known version does so for WebP, and
    PNG came later than JPEG.
    """
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = 6
    file = io.BytesIO()
    Image.new('RGB', (2, 1)).save(file, kind, exif=exif)
    return mmcv.imfrombytes(file.getvalue()).shape[:2] == (2, 1)


def resize(img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize like mmcv's ``imresize``, without a copy of large images.

    OpenCV copies an array that does not lie pixel by pixel in memory, such as
    that of a tensor. Of a large image it therefore gets one channel after the
    other.

    Args:
        img (ndarray): (H, W, 3), or (H, W) for a grey image.
        size (tuple[int]): (width, height).
    """
    if img.shape[0] * img.shape[1] < _LARGE or img.strides[-1] == img.itemsize:
        return imresize(img, size)
    resized = np.empty((*size[::-1], img.shape[2]), img.dtype)
    for channel in range(img.shape[2]):
        resized[..., channel] = imresize(img[..., channel], size)
    return resized


def resize_exactly(img: np.ndarray, factor: float) -> np.ndarray:
    """Resize by a factor in float32, as OpenCV does.

    Sides are rounded half to even, the factor is the same in both directions,
    and pixels are not rounded.

    Args:
        img (ndarray): (H, W, 3), of any dtype.
        factor (float): The factor; 1 gives the same pixels.
    """
    img = np.asarray(img, np.float32)
    if factor == 1:
        return img
    # Intel's library, if OpenCV has it, uses float64 coordinates: pixels would
    # differ by a hundredth of a grey level.
    known = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        return cv2.resize(img, None, fx=factor, fy=factor)
    finally:
        cv2.ipp.setUseIPP(known)
