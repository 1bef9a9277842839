"""Opening of image files, whole or by window."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import IMAGE_SUFFIXES

from .source import ImageSource, WholeImage
from .stretch import ValueRange

#: Suffixes of files that may be read by window; others are decoded whole.
RASTER_SUFFIXES = {
    *('.tif', '.tiff', '.jp2', '.j2k', '.vrt', '.img', '.ntf', '.svs'),
}


def require_rasterio(what: object) -> None:
    """Raise UserError if rasterio, which ``what`` needs, is not installed."""
    if find_spec('rasterio') is None:
        raise UserError(
            f'{what} needs rasterio, which is not installed; install it '
            'with: pip install sniper_mmdet[geo]'
        )


def reads_windows(path: str | Path) -> bool:
    """Whether a file is read by window: a tiled raster, such as a COG.

    This includes files that OpenCV cannot read, or reads as other colours:
    pixels of more than eight bits, and bands of unknown meaning. Without
    rasterio no file is read by window.
    """
    if Path(path).suffix.lower() not in RASTER_SUFFIXES:
        return False
    if find_spec('rasterio') is None:
        return False
    from .raster import needs_windows

    known = Path(path).suffix.lower() in IMAGE_SUFFIXES
    return not known or needs_windows(path)


def open_image(
    path: str | Path,
    bands: Sequence[int] | None = None,
    value_range: ValueRange | str | None = None,
    on_error: str = 'raise',
) -> ImageSource:
    """Open an image for reading by region.

    Args:
        path (str | Path): File that OpenCV or, with rasterio, GDAL can read.
        bands (Sequence[int], optional): Bands of a raster that become red,
            green and blue, counted from 1, or the band that becomes grey.
            Defaults to None: the bands that the file marks as these; else the
            first three of three, or the first of fewer.
        value_range (Sequence | str, optional): (low, high), the values that
            become 0 and 255, or one such pair per band; or 'percentiles', the
            2nd and the 98th of an overview. Defaults to None: pixels have
            eight bits.
        on_error (str): 'raise', or 'skip': tiles of a raster that cannot be
            decoded are logged, and are black. Defaults to 'raise'.

    Returns:
        :obj:`ImageSource`: The image. It is read by window if
        :func:`reads_windows` says so, or if ``bands`` or ``value_range`` are
        given.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file has no such bands, or neither eight bits nor a
            ``value_range``; or the library that reads it is not installed.
        OSError: The file cannot be read.

    Examples:
        >>> import cv2, numpy as np, tempfile
        >>> path = f'{tempfile.mkdtemp()}/image.png'
        >>> _ = cv2.imwrite(path, np.zeros((600, 800, 3), np.uint8))
        >>> source = open_image(path)
        >>> source.shape
        (600, 800, 3)
        >>> source.read((100, 50, 500, 350), (200, 150)).shape
        (150, 200, 3)
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
