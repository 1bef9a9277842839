"""Pixels on a map, as GDAL has them."""

import sys

import numpy as np
import pytest
from PIL import Image
from rasters import PLACES, each_place, transform_of, write_raster

from sniper_mmdet.images import ImageError
from sniper_mmdet.images.georeference import WGS84, Georeference
from sniper_mmdet.utils.errors import UserError

pytest.importorskip('rasterio')

PIXELS = np.array([(0, 0), (100, 0), (20.5, 33.25), (-7, 70)])


@each_place
def test_there_and_back(kind, tmp_path):
    import rasterio

    path = write_raster(tmp_path / 'a.tif', kind).path
    place = Georeference.of(path)
    assert place.size == (100, 60) and place.crs.to_string() == PLACES[kind][0]
    own = place.to_map(PIXELS)
    with rasterio.open(path) as file:
        corners = [file.xy(y, x, offset='ul') for x, y in PIXELS]
    np.testing.assert_allclose(own, corners, rtol=0, atol=1e-6)
    np.testing.assert_allclose(place.to_pixels(own), PIXELS, atol=1e-3)
    for crs in (WGS84, 'EPSG:3857'):
        moved = place.to_map(PIXELS, crs)
        back = place.to_pixels(moved, crs)
        np.testing.assert_allclose(back, PIXELS, atol=1e-3)


def test_longitude_comes_first(tmp_path):
    """A zone's central meridian is known, and where 5000 km north lie."""
    place = Georeference.of(write_raster(tmp_path / 'a.tif', 'rotated').path)
    (found,) = place.to_map([(0, 0)], WGS84)
    assert found.tolist() == pytest.approx([15, 45.1534772], abs=1e-7)


@pytest.mark.parametrize('name', ['a.tif a.tfw', 'a.jpg a.jgw', 'a.png a.pgw'])
def test_world_file(name, tmp_path):
    """It has the centre of the first pixel, and no CRS."""
    image, world = (tmp_path / part for part in name.split())
    Image.new('RGB', (50, 40)).save(image)
    world.write_text('0.5\n0.1\n0.1\n-0.5\n1000.3\n1999.8\n')
    place = Georeference.of(image)
    assert place.crs is None
    (found,) = place.to_map([(0, 0)])
    assert found.tolist() == pytest.approx([1000, 2000])
    with pytest.raises(UserError, match='must have a CRS, and has none'):
        place.to_map(PIXELS, WGS84)


def test_no_place(tmp_path, monkeypatch):
    path = tmp_path / 'a.png'
    Image.new('RGB', (50, 40)).save(path)
    assert Georeference.of(path) is None
    path.write_text('no image')
    with pytest.raises(ImageError, match='a.png cannot be read: '):
        Georeference.of(path)
    monkeypatch.setitem(sys.modules, 'rasterio', None)
    with pytest.raises(UserError, match=r'a.png .*needs rasterio, .*\[geo\]'):
        Georeference.of(path)


def test_points_that_have_no_place():
    from rasterio.crs import CRS

    local = CRS.from_wkt('LOCAL_CS["hall",UNIT["metre",1]]')
    place = Georeference(transform_of('utm'), local, (100, 60))
    with pytest.raises(UserError, match='there is no way from .*hall.* to EP'):
        place.to_map(PIXELS, WGS84)
    place = place._replace(crs=CRS.from_epsg(32633))
    with pytest.raises(UserError, match='EPSG:4326'):
        place.to_pixels(np.array([(15, 45), (15, 100)]), WGS84)
    assert place.to_pixels(np.zeros((0, 2)), WGS84).shape == (0, 2)
