"""Detectors that read a raster by window, beside the whole image."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from pixel_rasters import bands_of, write_raster
from test_autofocus import image as noise
from test_autofocus import scope  # noqa: F401
from test_tiled_levels import autofocus, pyramid

from sniper_mmdet.images import open_image

pytest.importorskip('rasterio')
SHAPE = 384, 512


@pytest.fixture
def tif(tmp_path):
    image = noise(*SHAPE)
    array = image.permute(1, 2, 0).numpy()
    return image, write_raster(tmp_path / 'a.tif', bands_of(array))


def found_in(model, given):
    meta = dict(ori_shape=SHAPE, img_shape=SHAPE, scale_factor=(1, 1))
    data = dict(inputs=[given], data_samples=[DetDataSample(metainfo=meta)])
    with torch.no_grad():
        (sample,) = model.test_step(data)
    return sample


@pytest.mark.parametrize('make', [pyramid, autofocus])
@pytest.mark.parametrize('settings', [{}, dict(max_pixels=2**16, border=2)])
def test_boxes_are_the_same_to_the_bit(tif, make, settings):
    image, path = tif
    ranges = [(20, None), (None, 40)]
    torch.manual_seed(0)
    model = make(scales=[0.5, 1.0], valid_ranges=ranges, **settings)
    whole = found_in(model, image)
    assert len(whole.pred_instances) > 10 and 'pixels_read' not in whole
    read = found_in(model, open_image(path))
    for key, value in whole.pred_instances.items():
        assert torch.equal(value, read.pred_instances[key]), key
    assert read.pixels_read >= 2 * np.prod(SHAPE)
    assert read.bytes_read > path.stat().st_size


def test_little_is_read_where_little_is_looked_at(tif):
    """A FocusChip of one corner, and the coarsest level by its overview."""
    _, path = tif
    array = open_image(path).read((0, 0, 512, 384), (512, 384))
    write_raster(path, bands_of(array), overviews=(2, 4))
    torch.manual_seed(0)
    model = autofocus(scales=[0.25, 1.0], focus=dict(threshold=2))
    read = found_in(model, open_image(path))
    assert read.pixels_read == np.prod(SHAPE) / 16
    assert read.bytes_read < path.stat().st_size / 5


def test_resizing_on_the_device_reads_on_the_cpu(tif):
    image, path = tif
    torch.manual_seed(0)
    model = pyramid(scales=[1.0], resize_on_device=True)
    one, other = (found_in(model, x) for x in (image, open_image(path)))
    boxes, others = one.pred_instances.bboxes, other.pred_instances.bboxes
    assert torch.equal(boxes, others)
