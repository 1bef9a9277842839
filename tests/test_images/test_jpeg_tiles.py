"""JPEG tiles beside OpenCV's JPEGs, and beside what GDAL decodes."""

import cv2
import numpy as np
import pytest
from pixel_rasters import bands_of, write_raster

from sniper_mmdet.images import ImageError, jpeg_tiles, open_image
from sniper_mmdet.utils.kept import Kept

rasterio = pytest.importorskip('rasterio')
pytest.importorskip('simplejpeg')

SMALL = np.random.default_rng(0).integers(0, 255, (12, 18, 3), np.uint8)
IMAGE = cv2.resize(SMALL, (300, 200), interpolation=cv2.INTER_CUBIC)
GREY = IMAGE[..., 0]


@pytest.fixture(params=['YCBCR', 'MINISBLACK'])
def tif(request, tmp_path):
    bands = GREY[None] if request.param == 'MINISBLACK' else bands_of(IMAGE)
    how = dict(compress='jpeg', photometric=request.param, JPEG_QUALITY=90)
    return write_raster(tmp_path / 'a.tif', bands, overviews=[2, 4], **how)


def by_gdal(path, monkeypatch, region, size):
    with monkeypatch.context() as patch:
        patch.setattr(jpeg_tiles, 'find_spec', lambda name: None)
        return open_image(path).read(region, size)


def places(path):
    """(offset, bytes) of each tile in the file, row by row."""
    with rasterio.open(path) as file:
        names = [f'{k % 5}_{k // 5}' for k in range(20)]
        tags = ('BLOCK_OFFSET', 'BLOCK_SIZE')
        return [
            [
                int(file.get_tag_item(f'{tag}_{name}', 'TIFF', 1))
                for tag in tags
            ]
            for name in names
        ]


@pytest.mark.parametrize(
    'region, size',
    [
        ((0, 0, 300, 200), (300, 200)),
        ((64, 64, 128, 128), (64, 64)),
        ((10, 70, 250, 199), (240, 129)),
        ((10.5, 70, 250, 199), (500, 300)),
        ((0, 0, 300, 200), (150, 100)),
        ((40, 20, 240, 180), (50, 40)),
    ],
)
def test_close_to_what_gdal_decodes(tif, monkeypatch, region, size):
    image = open_image(tif)
    assert image._jpeg
    pixels = image.read(region, size)
    assert pixels.shape == (*size[::-1], 3) and pixels.flags.c_contiguous
    theirs = by_gdal(tif, monkeypatch, region, size)
    # Libraries differ in how they enlarge the colours, not in brightness.
    grey = [cv2.cvtColor(p, cv2.COLOR_BGR2GRAY) for p in (pixels, theirs)]
    differences = cv2.absdiff(*grey)
    assert differences.mean() < 0.5 and differences.max() <= 12


def test_pixels_are_those_of_opencv(tif):
    offset, size = places(tif)[6]
    with rasterio.open(tif) as file:
        tables = bytes.fromhex(file.get_tag_item('JPEGTABLES', 'TIFF', 1))
    tile = tables[:-2] + tif.read_bytes()[offset : offset + size][2:]
    tile = cv2.imdecode(np.frombuffer(tile, np.uint8), cv2.IMREAD_COLOR)
    pixels = open_image(tif).read((64, 64, 128, 128), (64, 64))
    assert (pixels == tile).all()


def test_windows_are_parts_of_the_whole(tif):
    image = open_image(tif)
    whole = image.read((0, 0, 300, 200), (300, 200))
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.integers(0, (250, 150))
        w, h = rng.integers(1, 50, 2)
        part = image.read((x, y, x + w, y + h), (int(w), int(h)))
        assert (part == whole[y : y + h, x : x + w]).all()


def test_a_tile_that_does_not_decode(tif):
    offset, size = places(tif)[6]
    data = bytearray(tif.read_bytes())
    data[offset : offset + size] = bytes(size)
    tif.write_bytes(data)
    with pytest.raises(ImageError, match='cannot be read'):
        open_image(tif).read((0, 0, 300, 200), (300, 200))
    image = open_image(tif, on_error='skip')
    pixels = image.read((0, 0, 300, 200), (300, 200))
    assert not pixels[64:128, 64:128].any()
    assert pixels[:64].any(-1).mean() > 0.9


def test_a_file_that_is_written_anew(tif):
    first = open_image(tif).read((0, 0, 64, 64), (64, 64))
    with rasterio.open(tif) as file:
        bands = file.read()
    kind = 'MINISBLACK' if len(bands) == 1 else 'YCBCR'
    write_raster(tif, 255 - bands, compress='jpeg', photometric=kind)
    second = open_image(tif).read((0, 0, 64, 64), (64, 64))
    assert np.abs(255 - first.astype(int) - second).mean() < 10


def test_tiles_that_are_kept_are_not_decoded_again(tif, monkeypatch):
    kept = Kept(2**20)
    monkeypatch.setattr(jpeg_tiles, 'KEPT', kept)
    image = open_image(tif)
    first = image.read((0, 0, 300, 200), (300, 200))
    image.close()
    monkeypatch.setattr(jpeg_tiles.JpegTiles, '_decode', None)
    again = open_image(tif).read((0, 0, 300, 200), (300, 200))
    assert (first == again).all() and len(kept) == 20


@pytest.mark.parametrize('how', [dict(bands=(3, 2, 1)), dict(bands=(1,))])
def test_other_bands_are_read_by_gdal(tmp_path, how):
    profile = dict(compress='jpeg', photometric='YCBCR')
    path = write_raster(tmp_path / 'a.tif', bands_of(IMAGE), **profile)
    image = open_image(path, **how)
    assert not image._jpeg
    pixels = image.read((0, 0, 300, 200), (300, 200)).astype(int)
    wanted = IMAGE[..., ::-1] if len(how['bands']) == 3 else IMAGE[..., 2:]
    assert np.abs(pixels - wanted).mean() < 5


def test_kept_holds_no_more_than_it_has_room_for():
    kept = Kept(10)
    for name, size in (('a', 4), ('b', 4), ('a', 3), ('c', 4)):
        kept.put(name, name.upper(), size)
    assert kept.get('b') is None and kept.get('a') == 'A' and len(kept) == 2
    kept.put('d', 'D', 11)
    assert not len(kept)
