"""Image files and their sizes."""

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


def read_image(path: str | Path, any_depth: bool = False) -> np.ndarray:
    """An image, uint8 (H, W, 3), BGR; ``any_depth`` keeps 16 bits and more.

    Raises:
        OSError: It cannot be read.
    """
    image = None
    how = {}
    if any_depth:
        flag = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        how = dict(flag=flag, backend='cv2')
    with suppress(Exception):  # whatever decoders raise
        image = mmcv.imread(path, **how)
    if image is None:
        raise OSError(f'{path} cannot be read as an image.')
    return image


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height of an image as it is loaded, from its header.

    Raises:
        OSError: It cannot be read.
    """
    # Nothing is decoded: pictures from the air may be as large as they like.
    try:
        with images_of_any_size(), Image.open(path) as image:
            width, height = image.size
            # Asked for EXIF that is not there, Pillow would decode the file.
            exif = image.getexif() if 'exif' in image.info else {}
            kind = 'JPEG' if image.format == 'MPO' else image.format
    except SyntaxError as error:  # Pillow's, of a broken PNG
        raise OSError(str(error)) from error
    turned = exif.get(_EXIF_ORIENTATION, 1) >= 5 and _is_turned(kind)
    return (height, width) if turned else (width, height)


@contextmanager
def images_of_any_size() -> Iterator[None]:
    """In it, Pillow opens images of as many pixels as there are."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


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


def resize_exactly(img: np.ndarray, factor: float) -> np.ndarray:
    """Resize by a factor as OpenCV itself does, in float32.

    Sides are rounded half to even, the factor is the same in both directions,
    and pixels are not rounded.

    Args:
        img (ndarray): (H, W, 3), of any type.
        factor (float): 1 gives the image.
    """
    img = np.asarray(img, np.float32)
    if factor == 1:
        return img
    # Intel's library, where OpenCV has it, knows coordinates in float64:
    # pixels would differ by a hundredth of a grey level.
    known = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        return cv2.resize(img, None, fx=factor, fy=factor)
    finally:
        cv2.ipp.setUseIPP(known)
