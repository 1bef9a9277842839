"""Writing of one image as a tiled TIFF with overviews."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.shutil import copy

from sniper_mmdet.utils.files import FileError, whole_file
from sniper_mmdet.utils.image import read_image

from .source import ImageError

_LOSSLESS = ['uint8', 'uint16']
# Dtypes of pixels that lossless compressions keep.
_KINDS = {
    'jpeg': ['uint8'],
    'deflate': _LOSSLESS,
    'zstd': _LOSSLESS,
    'none': _LOSSLESS,
}
_COLOURS = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
# Sides of tiles are multiples of this number.
_STEP = 16
# Tag that records the source of a file and how it was made.
_NOTE = 'TIFFTAG_IMAGEDESCRIPTION'


def write_tiled(
    source: Path, path: Path, compress: str, quality: int, block: int
) -> bool:
    """Write an image as a tiled TIFF, whole or not at all.

    The file is a COG, a cloud optimized GeoTIFF. The pixels are those that
    ``LoadImageFromFile`` loads, with EXIF's orientation applied, but 16 bits
    stay 16 bits. Grey images have one band. An image that is no wider than a
    tile gets smaller tiles.

    Args:
        source (Path): File that OpenCV can read. It is decoded whole, and in
            memory twice while GDAL takes it.
        path (Path): The TIFF; its folder must exist.
        compress, quality, block: See :func:`.tiled.convert_folder`.

    Returns:
        bool: Whether it was written. If not, it exists already: complete, and
        made in the same way from a file of the same number of bytes.

    Raises:
        ImageError: The image cannot be read, or its pixels cannot be kept.
        FileError: The TIFF cannot be written.
    """
    settings = dict(compress=compress)
    if compress == 'jpeg':
        settings.update(quality=quality)
    elif compress != 'none':
        settings.update(predictor='standard')
    how = ' '.join(map(str, settings.values()))
    size = source.stat().st_size
    note = f'sniper_mmdet: {how}, tiles of {block}, from {size} bytes'
    with _gdal():
        if _is_whole(path, note, block):
            return False
        with _opened(source, compress) as image, whole_file(path) as part:
            image.update_tags(**{_NOTE: note})
            try:
                _write(image, part, block, settings)
            except Exception as error:  # GDAL's errors have no public parent
                reason = str(error).replace(part.name, path.name).rstrip('.')
                raise FileError(path, reason) from error
            # GDAL does not report all failures of a full disk.
            if not _is_whole(part, note, block):
                reason = 'its end is missing; the disk may be full'
                raise FileError(path, reason)
    return True


@contextmanager
def _gdal() -> Iterator[None]:
    """A context in which GDAL uses little memory and does not list folders."""
    options = dict(
        GDAL_CACHEMAX=2**26,  # bytes
        GDAL_DISABLE_READDIR_ON_OPEN='EMPTY_DIR',
        GDAL_VALIDATE_CREATION_OPTIONS=False,  # it warns of tiles below 128
    )
    with rasterio.Env(**options), warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        yield


def _opened(source: Path, compress: str) -> rasterio.DatasetReader:
    """Open an image in memory as a data set of GDAL."""
    try:
        pixels = read_image(source, any_depth=True)
    except OSError as error:
        raise ImageError(str(error)) from None
    if pixels.dtype.name not in _KINDS[compress]:
        raise ImageError(
            f'{source} has pixels of {pixels.dtype}, which {compress} cannot '
            f'keep; deflate keeps {" and ".join(_LOSSLESS)}.'
        )
    height, width = pixels.shape[:2]
    # The first rows show of most images that they have colours.
    grey = all((row == row[:, :1]).all() for row in pixels)
    bands = [0] if grey else [2, 1, 0]
    size = dict(width=width, height=height, count=len(bands))
    image = rasterio.open('', 'w+', driver='MEM', dtype=pixels.dtype, **size)
    for k, band in enumerate(bands, start=1):
        image.write(pixels[..., band], k)
    image.colorinterp = [ColorInterp.gray] if grey else _COLOURS
    return image


def _write(
    image: rasterio.DatasetReader, path: Path, block: int, settings: dict
) -> None:
    # An image of one tile would be decoded whole.
    wide = max((image.width - 1) // _STEP * _STEP, _STEP)
    factors = _factors(image, block)
    copy(
        image,
        path,
        driver='COG',
        blocksize=min(block, wide),
        overviews='auto' if factors else 'none',
        overview_count=len(factors),
        overview_resampling='average',
        bigtiff='if_safer',
        **settings,
    )


def _factors(image: rasterio.DatasetReader, block: int) -> list[int]:
    """Return factors 2, 4, 8, until the smaller side is below a tile's."""
    factors, least = [], min(image.width, image.height)
    while least >= block * 2 ** len(factors):
        factors.append(2 ** (len(factors) + 1))
    return factors


def _is_whole(path: Path, note: str, block: int) -> bool:
    """Whether a TIFF was made as noted, and has all of its tiles."""
    if not path.exists():
        return False
    size = path.stat().st_size
    try:
        with rasterio.open(path) as file:
            made, factors = file.overviews(1), _factors(file, block)
            same = file.tags().get(_NOTE) == note
        # GDAL may leave out the smallest overview.
        if not same or len(made) < len(factors) - 1 or made[:1] != factors[:1]:
            return False
        overviews = (dict(overview_level=k) for k in range(len(made)))
        levels = {}, *overviews
        ends = (end for level in levels for end in _ends(path, level))
        return all(0 < end <= size for end in ends)
    except RasterioError:
        return False


def _ends(path: Path, level: dict) -> Iterator[int]:
    """Yield the end of each tile of an overview in its file; 0 if missing."""
    with rasterio.open(path, **level) as file:
        high, wide = file.block_shapes[0]
        columns, rows = -(-file.width // wide), -(-file.height // high)
        for tile in np.ndindex(columns, rows):
            start, length = (
                file.get_tag_item(name % tile, 'TIFF', 1)
                for name in ('BLOCK_OFFSET_%d_%d', 'BLOCK_SIZE_%d_%d')
            )
            yield int(start) + int(length) if start else 0
