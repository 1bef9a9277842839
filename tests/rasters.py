"""Georeferenced images, and objects that are drawn on them by their place."""

from types import SimpleNamespace

import numpy as np
import pytest

#: (x1, y1, x2, y2) of the object, px, in an image of 100 x 60.
BOX = (20, 10, 50, 30)
#: CRS, upper left corner, degrees of rotation, sides of a pixel.
PLACES = dict(
    utm=('EPSG:32633', (500000, 5000000), 0, (0.5, -0.5)),
    rotated=('EPSG:32633', (500000, 5000000), 30, (0.5, -0.5)),
    uneven=('EPSG:32633', (400000, 5000000), -100, (0.3, -0.7)),
    degrees=('EPSG:4326', (15, 45), 0, (1e-5, -1e-5)),
)
each_place = pytest.mark.parametrize('kind', PLACES)


def transform_of(kind):
    from affine import Affine

    _, corner, angle, sides = PLACES[kind]
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    (x, y), (w, h) = corner, sides
    return Affine(w * cos, -h * sin, x, w * sin, h * cos, y)


def on_map(transform, x, y):
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


def write_raster(path, kind='utm', shift=(0, 0), crs=True, **options):
    """Write a GeoTIFF with an object that GDAL draws by its place.

    ``shift`` moves the image by so many pixels; the object stays in place.
    The options are GDAL's.
    """
    import rasterio
    from affine import Affine
    from rasterio.features import rasterize

    outline = transform_of(kind)
    x1, y1, x2, y2 = BOX
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
    ring = [on_map(outline, *corner) for corner in corners]
    shape = dict(type='Polygon', coordinates=[ring])
    a, b, _, d, e, _ = outline[:6]
    x, y = on_map(outline, *shift)
    transform = Affine(a, b, x, d, e, y)
    pixels = rasterize(
        [(shape, 255)], out_shape=(60, 100), transform=transform
    ).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        width=100,
        height=60,
        count=3,
        dtype='uint8',
        transform=transform,
        crs=PLACES[kind][0] if crs else None,
        **options,
    ) as file:
        file.write(np.stack([pixels] * 3))
    return SimpleNamespace(
        path=path, pixels=pixels, transform=transform, ring=ring, shape=shape
    )


def box_of(pixels):
    """(x1, y1, x2, y2) of what is bright."""
    y, x = pixels.nonzero()
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]
