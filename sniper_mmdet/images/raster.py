"""Rasters that GDAL reads by window, from overviews where possible."""

import math
import os
import warnings
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
import rasterio
from mmengine.logging import print_log
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import file_state
from sniper_mmdet.utils.image import resize

from .jpeg_tiles import JpegTiles, has_jpeg_tiles
from .source import ImageError, ImageSource
from .stretch import (
    PERCENTILES,
    ValueRange,
    check_range,
    chosen_bands,
    is_percentiles,
    range_of,
    to_eight_bits,
)

# Bytes of decoded tiles that GDAL keeps for all files together.
_CACHE = 2**27
# Pixels of a window up to which it is read at full size; GDAL shrinks larger
# windows.
_MOST = 2**25
# Upper bound of the pixels of an image that is decoded whole.
_WHOLE = 2**28
# Key of the tiles among the open files.
_TILES = 'tiles'
# Sides of the overview from which percentiles are taken.
_SAMPLE = 1024


@contextmanager
def gdal(path: str):
    """A context in which GDAL uses little memory and raises one sentence."""
    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE), warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            yield
    except RasterioError as error:
        reason = str(error.__cause__ or error).rstrip('.')
        raise ImageError(f'{path} cannot be read: {reason}.') from error


def needs_windows(path: str | Path) -> bool:
    """Whether a raster is in tiles, too large, or no image for OpenCV.

    OpenCV reads bands that are neither grey, colour nor alpha as colours, and
    the high bytes of larger numbers. It is False for other files, too: reading
    them raises the error.
    """
    try:
        with gdal(str(path)), rasterio.open(path) as file:
            _, width = file.block_shapes[0]
            if width < file.width or file.width * file.height > _WHOLE:
                return True
            known = ColorInterp.undefined not in file.colorinterp
            return not known or set(file.dtypes) != {'uint8'}
    except ImageError:
        return False


class RasterImage(ImageSource):
    """An image of any size that is read by window.

    A window at its own size or enlarged has the pixels of the whole image. A
    shrunk window comes from the smallest overview that is not smaller; without
    one GDAL averages pixels. Pixels without data, by the file's mask, are
    black.

    Args:
        path, bands, value_range, on_error: See :func:`open_image`.
    """

    def __init__(
        self,
        path: str | Path,
        bands: Sequence[int] | None = None,
        value_range: ValueRange | str | None = None,
        on_error: str = 'raise',
    ) -> None:
        check_choice('on_error', on_error, 'raise', 'skip')
        self.on_error = on_error
        self.path = str(path)
        check_range(value_range, self.path)
        self.value_range = value_range
        self._files, self._process = {}, os.getpid()
        self._state = file_state(path)
        file = self._file(-1)
        self.shape = file.height, file.width, 3
        with gdal(self.path):
            sizes = [
                (-(-file.width // factor), -(-file.height // factor))
                for factor in file.overviews(1)
            ]
            meanings = [one.name for one in file.colorinterp]
            palette = ColorInterp.palette in file.colorinterp
            self._palette = file.colormap(1) if palette else None
        # Indices of a palette have no average.
        nearest = self._palette is not None
        self._resampling = [Resampling.average, Resampling.nearest][nearest]
        self._sizes = [(file.width, file.height), *sizes]
        self.bands = chosen_bands(file.count, meanings, bands, self.path)
        self._masked = MaskFlags.all_valid not in file.mask_flag_enums[0]
        if is_percentiles(self.value_range):
            self.value_range = self._percentiles()
        kinds = {file.dtypes[band - 1] for band in self.bands}
        self._jpeg = (
            not self._masked
            and self._palette is None
            and self.value_range is None
            and has_jpeg_tiles(file, self.bands)
        )
        if self.value_range is None and kinds != {'uint8'}:
            raise UserError(
                f'{self.path} has pixels of {", ".join(sorted(kinds))}: '
                'value_range must say which of their values become 0 and 255, '
                f'or be {PERCENTILES!r}.'
            )

    def read(self, region, size):
        left, top, right, bottom = (float(v) for v in region)
        scale = max(size[0] / (right - left), size[1] / (bottom - top))
        level = self._level(scale)
        width, height = self._sizes[level]
        fx, fy = width / self.shape[1], height / self.shape[0]
        corners = left * fx, top * fy, right * fx, bottom * fy
        x, y = (math.floor(v + 1e-6) for v in corners[:2])
        x2 = min(math.ceil(corners[2] - 1e-6), width)
        y2 = min(math.ceil(corners[3] - 1e-6), height)
        pixels = self._read(level - 1, (x, y, x2, y2), size)
        if pixels.shape[1::-1] == size == (right - left, bottom - top):
            return pixels  # those of the whole image
        # The pixels may have been shrunk, and reach beyond the region.
        shrunk = pixels.shape[1] / (x2 - x), pixels.shape[0] / (y2 - y)
        place = np.subtract(corners, (x, y, x, y)) * np.tile(shrunk, 2)
        if np.allclose(place, (0, 0, *pixels.shape[1::-1]), atol=1e-6):
            return resize(pixels, size)
        return _resized_part(pixels, place, size)

    def close(self):
        # Count for copies too, which share the open file.
        while self._files:
            file = self._files.popitem()[1]
            if self._process == os.getpid():
                file.close()

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _files={})

    def _level(self, scale: float) -> int:
        """Return the smallest overview that need not be enlarged."""
        fits = [
            k
            for k, (width, _) in enumerate(self._sizes)
            if width >= scale * self.shape[1] * (1 - 1e-3)
        ]
        return fits[-1] if fits else 0

    def _read(self, overview: int, window, size) -> np.ndarray:
        """Read a window, uint8 (h, w, 3), shrunk if it is too large."""
        x, y, x2, y2 = window
        width, height = x2 - x, y2 - y
        self._check()
        file = self._file(overview)
        shape = height, width
        if width * height > max(_MOST, 4 * size[0] * size[1]):
            # Twice the wanted size, so that the final resizing is smooth.
            shape = min(height, 2 * size[1]), min(width, 2 * size[0])
        self.pixels_read += width * height
        if self._jpeg and shape == (height, width):
            if _TILES not in self._files:
                tiles = JpegTiles(self._file(-1), self._state)
                self._files[_TILES] = tiles
            tiles, block = self._files[_TILES], file.block_shapes[0]
            found = tiles.read(overview, block, window)
            if found is not None:
                self.bytes_read += found[1]
                return found[0]
        self.bytes_read += self._bytes(overview, window)
        how = dict(
            window=Window(x, y, width, height),
            out_shape=shape,
            resampling=self._resampling,
        )
        try:
            with gdal(self.path):
                bands = file.read(self.bands, **how)
                mask = file.dataset_mask(**how) if self._masked else None
        except ImageError as error:
            if self.on_error == 'raise':
                raise
            print_log(f'left black: {error}', 'current')
            bands, mask = self._rest(file, window, shape), None
        if self._palette is not None:
            table = np.zeros((256, 3), np.uint8)
            for value, colour in self._palette.items():
                table[value] = colour[:3]
            bands = table[bands[0]].transpose(2, 0, 1)
        if self.value_range is not None:
            bands = to_eight_bits(bands, self.value_range)
        if mask is not None:
            bands = np.where(mask, bands, 0)
        # From RGB to OpenCV's order, which OpenCV does faster than NumPy.
        return cv2.merge([bands[k] for k in (-1, len(bands) // 2, 0)])

    def _rest(self, file, window, shape: tuple[int, int]) -> np.ndarray:
        """Read a window (B, h, w) tile by tile, without broken tiles."""
        x, y, x2, y2 = window
        high, wide = file.block_shapes[0]
        bands = np.zeros((len(self.bands), y2 - y, x2 - x), file.dtypes[0])
        for top in range(y // high * high, y2, high):
            for left in range(x // wide * wide, x2, wide):
                rows = max(top, y), min(top + high, y2)
                columns = max(left, x), min(left + wide, x2)
                tile = Window.from_slices(rows, columns)
                with suppress(ImageError), gdal(self.path):
                    bands[
                        :,
                        rows[0] - y : rows[1] - y,
                        columns[0] - x : columns[1] - x,
                    ] = file.read(self.bands, window=tile)
        if shape == bands.shape[1:]:
            return bands
        shrunk = [resize(band, shape[::-1]) for band in bands]
        return np.stack(shrunk)

    def _percentiles(self) -> np.ndarray:
        file = self._file(len(self._sizes) - 2)
        shape = min(file.height, _SAMPLE), min(file.width, _SAMPLE)
        with gdal(self.path):
            sample = file.read(self.bands, out_shape=shape, masked=True)
        return range_of(sample)

    def _file(self, overview: int):
        """Return the file, -1, or one of its overviews, opened when needed."""
        if self._process != os.getpid():  # a fork's copy
            self._files, self._process = {}, os.getpid()
        if overview not in self._files:
            level = {} if overview < 0 else dict(overview_level=overview)
            with gdal(self.path):
                self._files[overview] = rasterio.open(self.path, **level)
        return self._files[overview]

    def _bytes(self, overview: int, window) -> int:
        """Return the bytes of a window's tiles in the file; 0 if unknown."""
        file, total = self._file(-1), 0
        high, wide = self._file(overview).block_shapes[0]
        x, y, x2, y2 = window
        where = {} if overview < 0 else dict(ovr=overview)
        for row in range(y // high, -(-y2 // high)):
            for column in range(x // wide, -(-x2 // wide)):
                name = f'BLOCK_SIZE_{column}_{row}'
                total += int(file.get_tag_item(name, 'TIFF', 1, **where) or 0)
        return total

    def _check(self) -> None:
        """Raise ImageError if the file has been replaced."""
        if file_state(self.path) != self._state:
            raise ImageError(f'{self.path} has changed while it was read.')


def _resized_part(
    pixels: np.ndarray, place: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Resize a part of an array whose ends lie between pixels."""
    left, top, right, bottom = place
    fx, fy = (right - left) / size[0], (bottom - top) / size[1]
    # The transform maps centres of pixels to centres of pixels.
    matrix = np.array(
        [
            [fx, 0, left + fx / 2 - 0.5],
            [0, fy, top + fy / 2 - 0.5],
        ]
    )
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        pixels, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE
    )
