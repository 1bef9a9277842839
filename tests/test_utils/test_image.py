"""Image files and their sizes."""

from pathlib import Path

import mmcv
import numpy as np
import pytest
from PIL import Image

from sniper_mmdet.utils import image
from sniper_mmdet.utils.image import find_files, image_size, read_image


@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
def test_sizes_are_those_that_are_loaded(tmp_path, suffix, orientation):
    path = tmp_path / f'a.{suffix}'
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new('RGB', (30, 20)).save(path, exif=exif)
    assert image_size(path) == mmcv.imread(path).shape[1::-1]


def test_sizes_of_large_and_of_broken_images(tmp_path, monkeypatch):
    # Pillow refuses to open scenes of so many pixels.
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    path = tmp_path / 'a.png'
    Image.new('RGB', (30, 20)).save(path)
    assert image_size(path) == (30, 20)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(OSError):
        image_size(path)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(
    'content', [b'', b'text', b'v/1\x01' + bytes(9), b'P5 9 9 255\n', None]
)
def test_what_opencv_cannot_decode_is_named(tmp_path, content):
    """It raises where there is nothing, and for OpenEXR that is off."""
    path = tmp_path / 'a.png'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OSError, match='a.png cannot be read as an image.$'):
        read_image(path)


def test_files_in_natural_order_without_hidden_ones(tmp_path):
    root = tmp_path / '.hidden'  # only what is in it counts
    for name in (
        *('10.png', '2.JPG', 'sub/1.png', 'notes.txt', '._2.JPG'),
        *('.ipynb_checkpoints/2.jpg', '__MACOSX/sub/1.png', 'sub/.a/1.png'),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / 'folder.png').mkdir()
    names = [Path(n) for n in ('2.JPG', '10.png', 'sub/1.png')]
    assert find_files(root) == names
    assert find_files(root, {'.txt'}) == [Path('notes.txt')]


@pytest.mark.parametrize('size', [(31, 17), (300, 200), (7, 400)])
def test_large_images_are_resized_without_a_copy(monkeypatch, size):
    """Channel by channel, where a pixel's channels are apart."""
    rng = np.random.default_rng(0)
    img = rng.integers(0, 256, (3, 90, 130), np.uint8).transpose(1, 2, 0)
    expected = mmcv.imresize(img, size)
    monkeypatch.setattr(image, '_LARGE', img[..., 0].size)
    shapes = []

    def record(part, size):
        shapes.append(part.shape)
        return mmcv.imresize(part, size)

    monkeypatch.setattr(image, 'imresize', record)
    assert np.array_equal(image.resize(img, size), expected)
    assert np.array_equal(image.resize(img.copy(), size), expected)
    grey = img[..., 0]
    assert np.array_equal(image.resize(grey, size), mmcv.imresize(grey, size))
    assert shapes == [(90, 130)] * 3 + [(90, 130, 3), (90, 130)]
