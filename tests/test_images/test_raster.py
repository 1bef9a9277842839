"""Windows of rasters beside the same of whole images."""

import pickle
import warnings

import cv2
import numpy as np
import pytest
from pixel_rasters import bands_of, write_raster

from sniper_mmdet.images import (
    ImageError,
    WholeImage,
    cut_level,
    open_image,
    reads_windows,
    resize_whole,
)
from sniper_mmdet.utils.errors import UserError

rasterio = pytest.importorskip('rasterio')
ColorInterp = rasterio.enums.ColorInterp


def picture(width=333, height=250, seed=0) -> np.ndarray:
    """uint8 (H, W, 3) that is smooth, with an edge here and there."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (height // 16, width // 16, 3), np.uint8)
    big = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(big)


IMAGE = picture()
REGIONS = [
    ((10, 20, 130, 140), (1, 1)),
    ((10.3, 20.7, 130.2, 140), (2, 2)),
    ((0, 0, 333, 250), (1, 1)),
    ((64, 64, 128, 128), (3, 3)),
    ((200, 100, 333, 250), (0.7, 0.7)),
    ((0, 0, 333, 250), (0.5, 0.5)),
]


@pytest.fixture
def tif(tmp_path):
    return write_raster(tmp_path / 'a.tif', bands_of(IMAGE))


@pytest.mark.parametrize('region, scale', REGIONS)
def test_a_window_is_the_same_as_of_the_whole_image(tif, region, scale):
    source = open_image(tif)
    assert source.shape == IMAGE.shape and reads_windows(tif)
    own, theirs = (cut_level(img, region, scale) for img in (source, IMAGE))
    assert (own[0] == theirs[0]).all() and own[1:] == theirs[1:]
    x1, y1, x2, y2 = theirs[3][0]
    assert source.pixels_read == (x2 - x1) * (y2 - y1)


@pytest.mark.parametrize('scale', [0.5, 0.4, 0.25, 0.2, 0.1])
def test_what_is_shrunk_comes_from_an_overview(tmp_path, scale):
    path = write_raster(tmp_path / 'a.tif', bands_of(IMAGE), (2, 4))
    source = open_image(path)
    region = (31, 17, 301, 233)
    own = cut_level(source, region, (scale, scale))[0].astype(int)
    theirs = cv2.GaussianBlur(IMAGE, None, max(0.4 / scale - 0.4, 0.1))
    theirs = cut_level(theirs, region, (scale, scale))[0]
    assert own.shape == theirs.shape
    assert abs(own - theirs).mean() < 6
    # Half as wide, as high, and as wide again.
    factor = 2 if scale > 0.25 else 4
    whole = 270 * 216
    assert source.pixels_read <= 1.1 * whole / factor**2


def test_an_overview_is_where_the_image_is(tmp_path):
    """A bright square has its centre of mass where it is, to a tenth."""
    image = np.zeros((515, 515, 3), np.uint8)
    image[301:333, 203:235] = 255
    path = write_raster(tmp_path / 'a.tif', bands_of(image), (2, 4, 8))
    for scale in (0.5, 0.3, 0.125):
        region = (101, 207, 407, 511)
        cut, factor, offset, _ = cut_level(
            open_image(path), region, (scale, scale)
        )
        rows, columns = np.indices(cut.shape[:2]) + 0.5
        weights = cut[..., 0] / cut[..., 0].sum()
        x = ((columns * weights).sum() + offset[0]) / factor[0]
        y = ((rows * weights).sum() + offset[1]) / factor[1]
        assert abs(x - 219) < 0.1 / scale and abs(y - 317) < 0.1 / scale


def test_a_window_too_large_for_memory_is_shrunk_as_it_is_read(
    tif, monkeypatch
):
    monkeypatch.setattr('sniper_mmdet.images.raster._MOST', 10_000)
    small = resize_whole(open_image(tif), (41, 31)).astype(int)
    theirs = cv2.resize(IMAGE, (41, 31), interpolation=cv2.INTER_AREA)
    assert abs(small - theirs).mean() < 3


def test_bytes_that_were_read(tif):
    source = open_image(tif)
    source.read((0, 0, 333, 250), (333, 250))
    everything = source.bytes_read
    assert 0.8 * tif.stat().st_size < everything <= tif.stat().st_size
    source.read((70, 70, 100, 100), (30, 30))
    assert 0 < source.bytes_read - everything < everything / 10


def test_a_copy_opens_the_file_again(tif):
    source = open_image(tif)
    first = source.read((0, 0, 50, 50), (50, 50))
    copy = pickle.loads(pickle.dumps(source))
    source.close()
    for one in (copy, source):  # which is opened again
        assert (one.read((0, 0, 50, 50), (50, 50)) == first).all()


def test_files_that_are_decoded_whole(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), IMAGE)
    rows = write_raster(tmp_path / 'b.tif', bands_of(IMAGE), tiled=False)
    for path in (tmp_path / 'a.png', rows):
        assert not reads_windows(path)
        source = open_image(path)
        assert isinstance(source, WholeImage) and source.shape == IMAGE.shape
        part = source.read((3, 5, 30, 50), (27, 45))
        assert (part == IMAGE[5:50, 3:30]).all()


def test_grey_alpha_and_palette(tmp_path):
    grey = IMAGE[None, ..., 0]
    path = write_raster(tmp_path / 'grey.tif', grey)
    pixels = resize_whole(open_image(path), (333, 250))
    assert (pixels == IMAGE[..., :1]).all()
    alpha = np.full_like(grey, 255)
    alpha[:, :100] = 0
    path = write_raster(
        tmp_path / 'alpha.tif',
        np.concatenate([bands_of(IMAGE), alpha]),
        colorinterp=[
            getattr(ColorInterp, n) for n in ('red', 'green', 'blue', 'alpha')
        ],
    )
    pixels = resize_whole(open_image(path), (333, 250))
    assert (pixels[100:] == IMAGE[100:]).all() and not pixels[:100].any()
    colours = {k: (k, 255 - k, 7, 255) for k in range(256)}
    path = write_raster(tmp_path / 'p.tif', grey, (2,), colormap=colours)
    source = open_image(path)
    pixels = resize_whole(source, (333, 250))
    assert (pixels[..., 2] == grey[0]).all()
    assert (pixels[..., 1] == 255 - grey[0]).all()
    assert (pixels[..., 0] == 7).all()


def test_no_data_is_black(tmp_path):
    image = IMAGE | 1
    path = write_raster(tmp_path / 'a.tif', bands_of(image), nodata=1)
    pixels = resize_whole(open_image(path), (333, 250))
    empty = (image == 1).all(2)
    assert not pixels[empty].any()
    assert (pixels[~empty] == image[~empty]).all()


@pytest.mark.parametrize('compress', ['deflate', 'jpeg'])
def test_what_the_mask_of_a_file_hides_is_black(tmp_path, compress):
    how = dict(compress=compress, photometric='rgb')
    if compress == 'jpeg':
        how['photometric'] = 'ycbcr'
    path = write_raster(tmp_path / 'a.tif', bands_of(IMAGE | 64), **how)
    mask = np.zeros(IMAGE.shape[:2], np.uint8)
    mask[40:, 70:] = 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with rasterio.open(path, 'r+') as file:
            file.write_mask(mask)
    pixels = resize_whole(open_image(path), (333, 250))
    assert not pixels[mask == 0].any() and pixels[mask > 0].any(-1).all()


def test_bands_and_sixteen_bits(tmp_path):
    bands = np.stack(
        [IMAGE[..., k % 3].astype(np.uint16) * 16 + k for k in range(5)]
    )
    path = write_raster(tmp_path / 'a.tif', bands, (2, 4))
    with pytest.raises(UserError, match='5 bands.*bands must name them'):
        open_image(path)
    with pytest.raises(UserError, match=r'of 1 to 5. Received: \(9, 2, 1\)'):
        open_image(path, bands=(9, 2, 1))
    with pytest.raises(UserError, match='pixels of uint16: value_range must'):
        open_image(path, bands=(3, 2, 1))
    with pytest.raises(UserError, match=r'value_range.*Received: \(5, 5\)'):
        open_image(path, (3, 2, 1), (5, 5))
    pixels = resize_whole(
        open_image(path, (3, 2, 1), (0, 255 * 16)), (333, 250)
    )
    assert abs(pixels.astype(int) - IMAGE).max() <= 1
    # One range a band; what is beyond an end is that end.
    ranges = [(0, 4080), (0, 4080), (1000, 2000)]
    pixels = resize_whole(open_image(path, (3, 2, 1), ranges), (333, 250))
    blue = (bands[0].astype(float) - 1000).clip(0, 1000) * 0.255
    assert abs(pixels[..., 0] - blue).max() <= 1
    pixels = resize_whole(open_image(path, (2,), 'percentiles'), (333, 250))
    assert 0.005 < (pixels == 0).mean() < 0.05
    assert 0.005 < (pixels == 255).mean() < 0.05


@pytest.mark.parametrize(
    ('count', 'dtype', 'sentence'),
    [
        (1, 'uint16', 'pixels of uint16: value_range must say'),
        (3, 'uint16', 'pixels of uint16: value_range must say'),
        (1, 'float32', 'pixels of float32: value_range must say'),
        (5, 'uint8', '5 bands, none of which is marked .* bands must name'),
    ],
)
def test_rows_of_what_opencv_reads_wrongly(tmp_path, count, dtype, sentence):
    """GDAL writes rows unless it is asked for tiles."""
    bands = np.stack([IMAGE[..., k % 3] for k in range(count)]).astype(dtype)
    path = write_raster(tmp_path / 'a.tif', bands, tiled=False)
    assert reads_windows(path)
    with pytest.raises(UserError, match=sentence):
        open_image(path)


@pytest.mark.parametrize('bands', [1, '321', 2.5])
def test_bands_that_are_no_list(tif, bands):
    with pytest.raises(UserError, match='a.tif must be a list such as'):
        open_image(tif, bands)


@pytest.mark.parametrize('value_range', ['pct', [1, None], {}])
def test_ranges_that_are_none(tif, value_range):
    with pytest.raises(UserError, match='value_range of .*a.tif must be'):
        open_image(tif, value_range=value_range)


def test_a_range_may_be_an_array(tif):
    source = open_image(tif, value_range=np.array([0, 255]))
    assert (resize_whole(source, (333, 250)) == IMAGE).all()


def test_floats_with_nan(tmp_path):
    bands = IMAGE[None, ..., 0].astype(np.float32) / 255
    bands[:, :50] = np.nan
    path = write_raster(tmp_path / 'a.tif', bands)
    pixels = resize_whole(open_image(path, value_range=(0, 1)), (333, 250))
    assert not pixels[:50].any()
    assert abs(pixels[50:].astype(int) - IMAGE[50:, :, :1]).max() <= 1


def test_a_file_that_ends_early(tif):
    content = tif.read_bytes()
    tif.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match='a.tif cannot be read: '):
        resize_whole(open_image(tif, value_range=(0, 255)), (333, 250))


def test_a_file_that_changes_while_it_is_read(tif):
    source = open_image(tif)
    source.read((0, 0, 50, 50), (50, 50))
    write_raster(tif, bands_of(IMAGE[:-9]))
    with pytest.raises(ImageError, match='has changed while it was read'):
        source.read((0, 0, 50, 50), (50, 50))


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='b.tif does not exist'):
        open_image(tmp_path / 'b.tif')


def test_nothing_is_said_of_rasters_that_lie_nowhere(tif):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        resize_whole(open_image(tif), (10, 10))


def test_one_that_begins_anew_shares_what_is_open(tif, monkeypatch):
    source = open_image(tif)
    first = source.read((0, 0, 50, 50), (50, 50))
    monkeypatch.setattr(rasterio, 'open', None)
    other = source.anew()
    assert other.pixels_read == other.bytes_read == 0 < source.pixels_read
    assert (other.read((0, 0, 50, 50), (50, 50)) == first).all()
