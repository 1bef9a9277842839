"""Folders of images that are written as TIFFs in tiles."""

import json
import os
import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from sniper_mmdet.images import open_image, opening, reads_windows
from sniper_mmdet.images.source import ImageError
from sniper_mmdet.images.tiled import convert_folder
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import FileError
from sniper_mmdet.utils.image import read_image

rasterio = pytest.importorskip('rasterio')


def picture(width=300, height=200, seed=0, dtype=np.uint8):
    """Without sharp edges, so that JPEG changes it little."""
    most = np.iinfo(dtype).max
    coarse = np.random.default_rng(seed).integers(0, most, (5, 7, 3), dtype)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


@pytest.fixture
def source(tmp_path):
    """Three images, one of them grey, one in a folder."""
    folder = tmp_path / 'in'
    save(folder / 'a.png', picture())
    save(folder / 'sub/b.c.jpg', picture(260, 300, 1))
    save(folder / 'grey.bmp', picture(200, 100, 2)[..., 0])
    return folder


def convert(source, **changes):
    return convert_folder(source, source.parent / 'out', block=64, **changes)


def pixels_of(path):
    """All pixels, as they are read by window."""
    image = open_image(path)
    height, width = image.shape[:2]
    return image.read((0, 0, width, height), (width, height))


def files(folder):
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob('*')
        if p.is_file()
    )


@pytest.mark.parametrize('compress', ['deflate', 'zstd', 'none'])
def test_pixels_without_loss(source, compress):
    done = convert(source, compress=compress)
    out = source.parent / 'out'
    assert done[:3] == (3, 0, [])
    assert files(out) == ['a.tif', 'grey.tif', 'sub/b.c.tif']
    for old, new in zip(
        ('a.png', 'grey.bmp', 'sub/b.c.jpg'), files(out), strict=True
    ):
        assert reads_windows(out / new)
        pixels = read_image(source / old)
        assert (pixels_of(out / new) == pixels).all()
        # Whoever reads it whole gets the same; OpenCV knows no zstd.
        if compress != 'zstd':
            assert (read_image(out / new) == pixels).all()
    sizes = [
        sum((folder / name).stat().st_size for name in files(folder))
        for folder in (source, out)
    ]
    assert list(done[3:]) == sizes


def test_jpeg_with_overviews(source):
    convert(source)
    out = source.parent / 'out'
    for old, new, factors, bands in (
        ('a.png', 'a.tif', [2, 4], 3),
        ('grey.bmp', 'grey.tif', [2], 1),
        ('sub/b.c.jpg', 'sub/b.c.tif', [2, 4, 8], 3),
    ):
        assert reads_windows(out / new)
        with rasterio.open(out / new) as file:
            assert file.overviews(1) == factors and file.count == bands
            assert file.block_shapes[0] == (64, 64)
            assert file.compression.name == 'jpeg'
            photometric = file.tags(ns='IMAGE_STRUCTURE')['COMPRESSION']
            assert photometric == ('YCbCr JPEG' if bands == 3 else 'JPEG')
        pixels = read_image(source / old).astype(int)
        assert 0 < abs(pixels_of(out / new) - pixels).mean() < 2
    image = open_image(out / 'a.tif')
    small = image.read((0, 0, 300, 200), (75, 50))
    assert image.pixels_read == 75 * 50  # of an overview
    half = cv2.resize(picture(), (75, 50), interpolation=cv2.INTER_AREA)
    assert abs(small.astype(int) - half).mean() < 3


def test_quality_and_tiles_of_narrow_images(source, caplog):
    save(source / 'narrow.png', picture(64, 400))
    convert(source, quality=95)
    large = convert(source, quality=95).bytes_after
    # Other settings: all are written again.
    done = convert(source, quality=50)
    assert done.written == 4 and done.bytes_after < 0.8 * large
    out = source.parent / 'out'
    assert reads_windows(out / 'narrow.tif')
    assert pixels_of(out / 'narrow.tif').shape == (400, 64, 3)
    assert convert(source, quality=50).skipped == 4
    assert not caplog.text


def test_pixels_are_turned_as_they_are_loaded(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / 'in/a.jpg'
    path.parent.mkdir()
    Image.fromarray(picture()).save(path, exif=exif)
    convert(path.parent, compress='deflate')
    pixels = pixels_of(tmp_path / 'out/a.tif')
    assert pixels.shape == (300, 200, 3)
    assert (pixels == read_image(path)).all()


@pytest.mark.parametrize('compress', ['deflate', 'zstd', 'none'])
def test_sixteen_bits(tmp_path, compress):
    deep = picture(dtype=np.uint16)
    save(tmp_path / 'in/a.png', deep)
    with pytest.raises(ImageError, match='pixels of uint16, which jpeg cann'):
        convert(tmp_path / 'in')
    assert not files(tmp_path / 'out')
    convert(tmp_path / 'in', compress=compress)
    with rasterio.open(tmp_path / 'out/a.tif') as file:
        assert (file.read()[::-1].transpose(1, 2, 0) == deep).all()
        assert file.overviews(1) == [2, 4]


def test_what_is_whole_is_not_written_again(source):
    out = source.parent / 'out'
    convert(source)
    times = {name: (out / name).stat().st_mtime_ns for name in files(out)}
    whole = (out / 'a.tif').read_bytes()
    os.truncate(out / 'a.tif', len(whole) * 9 // 10)
    (out / '.part-a.tif').write_bytes(whole[:999])  # of a killed process
    save(source / 'grey.bmp', picture(220, 100)[..., 0])  # another image
    done = convert(source)
    assert (done.written, done.skipped) == (2, 1)
    assert files(out) == ['a.tif', 'grey.tif', 'sub/b.c.tif']
    assert (out / 'a.tif').read_bytes() == whole
    assert pixels_of(out / 'grey.tif').shape[1] == 220
    same = out / 'sub/b.c.tif'
    assert same.stat().st_mtime_ns == times['sub/b.c.tif']


def test_two_processes(source):
    first = convert(source, num_procs=2)
    assert first.written == 3
    assert convert(source) == first._replace(written=0, skipped=3)
    # What another process sends back.
    error = FileError('a.tif', 'no room')
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_folder_where_a_file_is_to_be(source):
    (source.parent / 'out/grey.tif').mkdir(parents=True)
    with pytest.raises(FileError, match='grey.tif cannot be written'):
        convert(source)


def test_a_full_disk(source, full_disk):
    with full_disk(3000), pytest.raises(FileError) as error:
        convert(source, compress='deflate')
    assert 'a.tif cannot be written: ' in str(error.value)
    assert '.part-' not in str(error.value)
    assert not files(source.parent / 'out')


def test_broken_images(source):
    (source / 'broken.png').write_bytes(b'no image')
    sentence = f'{source / "broken.png"} cannot be read as an image.'
    with pytest.raises(ImageError) as error:
        convert(source)
    assert str(error.value) == sentence
    done = convert(source, on_error='skip')
    assert done.left_out == [sentence]
    assert done.written + done.skipped == 3
    assert len(files(source.parent / 'out')) == 3


def coco_file(source, *names):
    images = [dict(id=i, file_name=n, x='é') for i, n in enumerate(names)]
    annotations = [dict(id=9 - i, image_id=i) for i in range(len(names))]
    coco = dict(info={'a': 1}, images=images, annotations=annotations)
    path = source.parent / 'in.json'
    path.write_text(json.dumps(coco))
    return coco, dict(ann=path, out_ann=source.parent / 'new/out.json')


def test_annotations_get_the_new_names(source):
    coco, paths = coco_file(source, 'sub/b.c.jpg', 'a.png')
    convert(source, **paths)
    coco['images'][0]['file_name'] = 'sub/b.c.tif'
    coco['images'][1]['file_name'] = 'a.tif'
    assert json.loads(paths['out_ann'].read_text()) == coco


def test_annotations_of_an_image_that_is_left_out(source):
    (source / 'broken.png').write_bytes(b'no image')
    _, paths = coco_file(source, 'broken.png', 'a.png')
    convert(source, on_error='skip', **paths)
    new = json.loads(paths['out_ann'].read_text())
    assert [image['file_name'] for image in new['images']] == ['a.tif']
    assert [a['image_id'] for a in new['annotations']] == [1]


def test_annotations_of_missing_images(source):
    _, paths = coco_file(source, 'a.png', 'b.png', 'c.png')
    sentence = '2 of 3 images of .* are not in .*; the first .* is b.png.$'
    with pytest.raises(UserError, match=sentence):
        convert(source, **paths)
    paths['ann'].write_text('[]')
    with pytest.raises(UserError, match='in.json is not a COCO json'):
        convert(source, **paths)
    assert not (source.parent / 'out').exists()


def test_names_that_clash(source):
    save(source / 'sub/b.c.PNG', picture())
    with pytest.raises(UserError, match='b.c.(PNG|jpg) and .* would both be'):
        convert(source)
    assert not (source.parent / 'out').exists()


@pytest.mark.parametrize(
    'changes, sentence',
    [
        (dict(block=100), 'block must be a multiple of 16. Received: 100'),
        (dict(quality=0), 'quality must be 1 to 100. Received: 0'),
        (dict(num_procs=0), 'num_procs must be at least 1. Received: 0'),
        (dict(compress='lzw'), "'zstd' or 'none'. Received: 'lzw'"),
        (dict(out='in/new'), 'no TIFF may be put into in. Received: in/new'),
        (dict(source='in/sub', out='in/link'), 'put into in/sub. Received'),
        (dict(source='no'), 'must be a folder of images. Received: no'),
    ],
)
def test_wrong_settings(source, monkeypatch, changes, sentence):
    monkeypatch.chdir(source.parent)
    (source / 'link').symlink_to('sub')
    with pytest.raises(ValueError, match=sentence):
        convert_folder(**(dict(source='in', out='out') | changes))
    assert files(source) == ['a.png', 'grey.bmp', 'sub/b.c.jpg']
    assert not (source.parent / 'out').exists()


def test_without_rasterio(source, monkeypatch):
    monkeypatch.setattr(opening, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match=r'install sniper_mmdet\[geo\]$'):
        convert(source)
