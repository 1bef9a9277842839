"""Parts of levels that are cut on the device, against those of OpenCV."""

import numpy as np
import pytest
import torch
from test_autofocus import (  # noqa: F401
    autofocus,
    detect,
    image,
    pyramid_of,
    scope,
)

from sniper_mmdet.images import cut_level
from sniper_mmdet.models.detectors.device_resize import (
    cut_on_device,
    move_images,
)

DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.gpu)]
FOCUS = [dict(threshold=0, min_size=32)] * 2


def assert_same_cut(img, region, scale, device='cpu'):
    theirs, *place, _ = cut_level(img, region, scale)
    ours, *own_place = cut_on_device(
        torch.from_numpy(img).to(device), region, scale
    )
    assert ours.dtype == torch.uint8 and ours.device.type == device
    assert own_place == place
    assert ours.shape == theirs.shape
    assert np.abs(ours.cpu().numpy() - theirs.astype(int)).max() <= 1


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('factor', [0.1, 0.25, 0.37, 0.5, 1, 1.5, 2, 3.3])
def test_within_one_grey_level(device, factor):
    rng = np.random.default_rng(0)
    for width, height in rng.integers(1, 120, (12, 2)).tolist():
        img = rng.integers(0, 256, (height, width, 3), np.uint8)
        size = np.maximum(np.rint(np.multiply((width, height), factor)), 1)
        scale = size / (width, height)
        x, y = np.sort([rng.uniform(0, s, 2) for s in (width, height)])
        regions = [
            (0, 0, width, height),
            (0, 0, x[1], y[1]),  # at borders, and in the middle
            (x[0], y[0], width, height),
            (x[0], y[0], x[1] + 1, y[1] + 1),
        ]
        for region in regions:
            assert_same_cut(img, region, tuple(scale), device)


@pytest.mark.parametrize('factor', [0.31, 2.7])
def test_far_from_the_first_pixel(factor):
    rng = np.random.default_rng(0)
    img = rng.choice(np.uint8([0, 255]), (2, 30000, 3))
    assert_same_cut(img, (0, 0, 30000, 2), (factor, 1))
    assert_same_cut(img, (20000, 0, 29000, 2), (factor, 1))


@pytest.mark.parametrize('device', DEVICES)
def test_an_image_is_moved_once(device):
    img = image()
    (moved,) = move_images([img], torch.device(device))
    assert moved.shape == (128, 160, 3) and moved.dtype == torch.uint8
    assert torch.equal(moved.permute(2, 0, 1).cpu(), img)
    (again,) = move_images([moved.permute(2, 0, 1)], moved.device)
    assert again.data_ptr() == moved.data_ptr()


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('max_pixels', [2**22, 2**15])
def test_detections_are_those_of_the_cpu(device, max_pixels):
    """All of an image at its own scale: the same pixels, also in tiles."""
    how = dict(
        scales=[0.5, 1.0],
        valid_ranges=[(20, None), (0, 30)],
        focus=FOCUS[:1],
        max_pixels=max_pixels,
    )
    torch.manual_seed(0)
    ours = autofocus(resize_on_device=True, **how).to(device)
    torch.manual_seed(0)
    theirs = autofocus(**how)
    img = image(240, 160)
    (found,), (expected,) = detect(ours, img), detect(theirs, img)
    assert found.focus['pixels'] == expected.focus['pixels']
    fine, plain = (
        result.pred_instances[result.pred_instances.levels == 1].to('cpu')
        for result in (found, expected)
    )
    count = min(len(fine), len(plain)) // 2
    assert count > 10
    torch.testing.assert_close(
        fine.scores[:count], plain.scores[:count], atol=2e-3, rtol=0
    )


def test_the_pyramid_of_threshold_zero():
    """The same pixels for both, wherever they are resized."""
    model = autofocus(resize_on_device=True, focus=[dict(threshold=0)] * 2)
    pyramid = pyramid_of(model)
    pyramid.resize_on_device = True
    img = image()
    (ours,), (theirs,) = detect(model, img), detect(pyramid, img)
    assert len(ours.pred_instances) > 10
    for key in ('bboxes', 'scores', 'labels'):
        assert torch.equal(
            ours.pred_instances[key], theirs.pred_instances[key]
        )
