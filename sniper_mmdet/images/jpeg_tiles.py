"""Reader of JPEG tiles of a TIFF, decoded by libjpeg-turbo.

GDAL takes three times as long. Pixels are those that OpenCV decodes.
"""

import itertools
import os
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from rasterio.io import DatasetReader

from sniper_mmdet.utils.kept import Kept

#: Decoded tiles of all files, because neighbouring chips share some. They stay
#: when a file is closed: new memory for others would take a fifth of the time.
KEPT = Kept(2**27)
# Larger tiles are nearly whole images.
_SIDE = 1024
# Start and end of a JPEG.
_START, _END = b'\xff\xd8', b'\xff\xd9'


def has_jpeg_tiles(file: DatasetReader, bands: Sequence[int]) -> bool:
    """Whether the tiles of a raster are JPEGs of the requested bands.

    It is False without simplejpeg, which decodes them.

    Args:
        file (DatasetReader): The raster.
        bands (Sequence[int]): The bands that become red, green and blue, or
            the band that becomes grey.
    """
    colours = {'ycbcr': [1, 2, 3], 'minisblack': [1]}
    how = file.profile
    return (
        find_spec('simplejpeg') is not None
        and how['driver'] == 'GTiff'
        and how.get('compress') == 'jpeg'
        and (how.get('interleave') != 'band' or len(bands) == 1)
        and file.dtypes[0] == 'uint8'
        and list(bands) == colours.get(how.get('photometric', 'minisblack'))
        and file.count == len(bands)
        and max(file.block_shapes[0]) <= _SIDE
    )


class JpegTiles:
    """Reads windows of a raster and of its overviews from JPEG tiles.

    Args:
        file (DatasetReader): The raster, see :func:`has_jpeg_tiles`.
        state (tuple): A value that changes when the file is written again.
    """

    def __init__(self, file: DatasetReader, state: tuple) -> None:
        self._file, self._state = file, state
        self._stream = open(file.name, 'rb')  # noqa: SIM115, see close
        self._shared: dict[int, bytes] = {}

    def read(
        self, overview: int, block: tuple[int, int], window: Sequence[int]
    ) -> tuple[np.ndarray, int] | None:
        """Read a window of the raster or of one of its overviews.

        Args:
            overview (int): Index of the overview, or -1 for the raster.
            block (tuple[int]): (height, width) of its tiles.
            window (Sequence[int]): (x1, y1, x2, y2), pixels of the overview.

        Returns:
            tuple | None: The pixels, uint8 (h, w, 3), BGR, and the number of
            bytes of their tiles in the file. None if a tile is absent or
            cannot be decoded: GDAL then gives the reason.
        """
        x, y, x2, y2 = window
        high, wide = block
        rows = range(y // high, -(-y2 // high))
        columns = range(x // wide, -(-x2 // wide))
        pixels, total = np.empty((y2 - y, x2 - x, 3), np.uint8), 0
        for row, column in itertools.product(rows, columns):
            key = self._file.name, self._state, overview, row, column
            found = KEPT.get(key)
            if found is None:
                found = self._decode(overview, f'{column}_{row}', block)
                if found is None:
                    return None
                KEPT.put(key, found, found[0].nbytes)
            tile, size = found
            total += size
            top, left = row * high - y, column * wide - x
            part = tile[
                max(-top, 0) : y2 - y - top, max(-left, 0) : x2 - x - left
            ]
            top, left = max(top, 0), max(left, 0)
            pixels[top : top + len(part), left : left + part.shape[1]] = part
        return pixels, total

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _decode(
        self, overview: int, place: str, block: tuple[int, int]
    ) -> tuple[np.ndarray, int] | None:
        """Decode a tile, see :meth:`read`; None if it is broken."""
        import simplejpeg

        offset = self._tag(f'BLOCK_OFFSET_{place}', overview)
        size = self._tag(f'BLOCK_SIZE_{place}', overview)
        if not offset or not size:
            return None
        tile = os.pread(self._stream.fileno(), int(size), int(offset))
        if overview not in self._shared:
            # The file has the shared tables of a level's tiles only once.
            tables = bytes.fromhex(self._tag('JPEGTABLES', overview) or '')
            self._shared[overview] = tables.removesuffix(_END)
        if shared := self._shared[overview]:
            tile = shared + tile.removeprefix(_START)
        # Its own memory, which it fills with zeros, costs a third of the time.
        pixels = np.empty((*block, 3), np.uint8)
        try:
            found = simplejpeg.decode_jpeg(tile, 'BGR', buffer=pixels)
        except ValueError:
            return None
        return (pixels, int(size)) if found.shape == pixels.shape else None

    def _tag(self, name: str, overview: int) -> str | None:
        level = {} if overview < 0 else dict(ovr=overview)
        return self._file.get_tag_item(name, 'TIFF', 1, **level)
