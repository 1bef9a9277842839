"""The position of a raster's pixels on a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sniper_mmdet.utils.errors import UserError

from .opening import require_rasterio

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS

#: Longitude and latitude in degrees, in this order.
WGS84 = 'EPSG:4326'


class Georeference(NamedTuple):
    """The position of a raster on a map.

    Points are arrays (N, 2) of x and y. Points in pixels are GDAL's columns
    and rows: (0, 0) is the upper left corner of the first pixel, not its
    centre. In every CRS x is the easting or the longitude.

    Attributes:
        transform (Affine): Transform from pixels to the raster's own CRS.
        crs (CRS | None): The raster's CRS; None if only the transform is
            known, as from a world file.
        size (tuple[int]): (width, height) in pixels.
    """

    transform: Affine
    crs: CRS | None
    size: tuple[int, int]

    @classmethod
    def of(cls, path: str | Path) -> Georeference | None:
        """Read the georeference of a file from its header and sidecar files.

        The result is None if the file has none, or ground control points only.

        Raises:
            UserError: rasterio is not installed.
            ImageError: GDAL cannot read the file.
        """
        require_rasterio(f'the place of {path} on a map')
        import rasterio

        from .raster import gdal

        with gdal(str(path)), rasterio.open(path) as file:
            size = file.width, file.height
            place = cls(file.transform, file.crs or None, size)
        known = not place.transform.is_identity
        return place if known and not place.transform.is_degenerate else None

    def to_map(
        self, pixels: np.ndarray, crs: CRS | str | None = None
    ) -> np.ndarray:
        """Convert pixels to a CRS, by default the raster's own.

        Raises:
            UserError: The pixels have no position in the CRS.
        """
        points = _moved(self.transform, pixels)
        return points if crs is None else _warped(points, self.crs, crs)

    def to_pixels(
        self, points: np.ndarray, crs: CRS | str | None = None
    ) -> np.ndarray:
        """Convert points of a CRS, by default the raster's own, to pixels.

        The pixels may lie outside the raster.

        Raises:
            UserError: The points have no position in the raster's CRS.
        """
        if crs is not None:
            points = _warped(points, crs, self.crs)
        return _moved(~self.transform, points)


def _moved(transform: Affine, points: np.ndarray) -> np.ndarray:
    a, b, c, d, e, f = transform[:6]
    return np.asarray(points, float) @ np.array([(a, d), (b, e)]) + (c, f)


def _warped(
    points: np.ndarray, source: CRS | str | None, target: CRS | str | None
) -> np.ndarray:
    from rasterio.warp import transform

    if source is None or target is None:
        raise UserError('the raster must have a CRS, and has none.')
    if not len(points):
        return points
    try:
        moved = np.array(transform(source, target, *points.T)[:2]).T
    except Exception as error:  # PROJ's errors differ
        raise UserError(
            f'there is no way from {source} to {target}: {error}'
        ) from error
    if not np.isfinite(moved).all():
        raise UserError(
            f'points of {source} have no place in {target}. Received: '
            f'{points[~np.isfinite(moved).all(1)][0].tolist()}.'
        )
    return moved
