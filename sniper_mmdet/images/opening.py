"""Opens an image file as what reads it best."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import IMAGE_SUFFIXES

from .source import ImageSource, WholeImage
from .stretch import ValueRange

#: What may be read by window; others are decoded whole.
RASTER_SUFFIXES = {
    *('.tif', '.tiff', '.jp2', '.j2k', '.vrt', '.img', '.ntf', '.svs'),
}


def require_rasterio(what: object) -> None:
    """Raises UserError where rasterio is not installed: ``what`` needs it."""
    if find_spec('rasterio') is None:
        raise UserError(
            f'{what} needs rasterio, which is not installed; install it '
            'with: pip install sniper_mmdet[geo]'
        )


def reads_windows(path: str | Path) -> bool:
    """Whether a file is read by window: a raster in tiles, as COG.

    Also one that OpenCV does not read. Without rasterio none is.
    """
    if Path(path).suffix.lower() not in RASTER_SUFFIXES:
        return False
    if find_spec('rasterio') is None:
        return False
    from .raster import is_tiled

    known = Path(path).suffix.lower() in IMAGE_SUFFIXES
    return not known or is_tiled(path)


def open_image(
    path: str | Path,
    bands: Sequence[int] | None = None,
    value_range: ValueRange | str | None = None,
    on_error: str = 'raise',
) -> ImageSource:
    """Open an image, of which only what is asked for is read, if that can be.

    Args:
        path (str | Path): What OpenCV or, with rasterio, GDAL reads.
        bands (Sequence[int], optional): Which of a raster become red, green
            and blue, from 1 on, or the one that becomes grey. Defaults to
            None: those that are said to be; else the first three of three,
            the first of less.
        value_range (Sequence | str, optional): (low, high) of what becomes 0
            to 255, or one per band; or 'percentiles', the 2nd and the 98th of
            an overview. Defaults to None: pixels have eight bits.
        on_error (str): 'raise', or 'skip': tiles of a raster that cannot be
            decoded are logged, and are black. Defaults to 'raise'.

    Returns:
        :obj:`ImageSource`: Read by window where :func:`reads_windows` says
        so, or where ``bands`` or ``value_range`` are given.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It has no such bands, no eight bits and no ``value_range``;
            or what reads it is not installed.
        OSError: It cannot be read.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f'{path} does not exist.')
    asked = bands is not None or value_range is not None
    if not asked and not reads_windows(path):
        if Path(path).suffix.lower() in RASTER_SUFFIXES - IMAGE_SUFFIXES:
            require_rasterio(path)
        return WholeImage(path)
    require_rasterio(f'{path} with bands or value_range')
    from .raster import RasterImage

    return RasterImage(path, bands, value_range, on_error)
