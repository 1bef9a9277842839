"""Deformable layers against the original's definition, written as loops."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import DeformConv2d

from sniper_mmdet.models.layers import ClampedDeformConv2d, deform_roi_pool


def bilinear(plane, y, x):
    """Value between cells of (H, W); both inside."""
    h, w = plane.shape
    top, left = int(y), int(x)
    down, right = min(top + 1, h - 1), min(left + 1, w - 1)
    ly, lx = y - top, x - left
    return (
        plane[top, left] * (1 - ly) * (1 - lx)
        + plane[top, right] * (1 - ly) * lx
        + plane[down, left] * ly * (1 - lx)
        + plane[down, right] * ly * lx
    )


def deform_conv_as_loops(x, offset, weight, groups, stride, dilation, padding):
    n, channels, h, w = x.shape
    out = np.zeros((n, len(weight), *offset.shape[2:]))
    per_group = channels // groups
    for i, oy, ox in itertools.product(range(n), *map(range, out.shape[2:])):
        for c, ky, kx in itertools.product(
            range(channels), range(3), range(3)
        ):
            at = 2 * ((c // per_group) * 9 + 3 * ky + kx)
            y = oy * stride - padding + ky * dilation
            x_ = ox * stride - padding + kx * dilation
            y, x_ = y + offset[i, at, oy, ox], x_ + offset[i, at + 1, oy, ox]
            if 0 <= y < h and 0 <= x_ < w:
                value = bilinear(x[i, c], min(y, h - 1), min(x_, w - 1))
                out[i, :, oy, ox] += weight[:, c, ky, kx] * value
    return out


@pytest.mark.parametrize(
    'size, groups, stride, dilation, padding',
    [
        ((5, 7), 2, 1, 2, 2),
        ((2, 3), 4, 1, 2, 2),
        ((6, 6), 1, 2, 1, 1),
        ((1, 1), 1, 1, 2, 2),
    ],
)
def test_deform_conv_is_the_originals(size, groups, stride, dilation, padding):
    torch.manual_seed(0)
    conv = ClampedDeformConv2d(
        4, 3, 3, stride, padding, dilation, deform_groups=groups
    )
    x = torch.randn(2, 4, *size)
    out = [
        (side + 2 * padding - 2 * dilation - 1) // stride + 1 for side in size
    ]
    offset = torch.randn(2, 18 * groups, *out) * 2
    # Exactly on a border: the first cell counts, the end does not.
    offset[:, ::5] = offset[:, ::5].round()
    expected = deform_conv_as_loops(
        x.numpy(),
        offset.numpy(),
        conv.weight.detach().numpy(),
        groups,
        stride,
        dilation,
        padding,
    )
    found = conv(x, offset).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_deform_conv_differs_from_mmcvs_at_the_border_alone():
    torch.manual_seed(0)
    ours = ClampedDeformConv2d(4, 3, 3, 1, 2, 2)
    theirs = DeformConv2d(4, 3, 3, 1, 2, 2)
    theirs.load_state_dict(ours.state_dict())
    x, offset = torch.randn(1, 4, 12, 12), torch.rand(1, 18, 12, 12) - 0.5
    differs = (ours(x, offset) - theirs(x, offset)).abs().amax((0, 1)) > 1e-5
    assert not differs[3:-3, 3:-3].any() and differs[:2].any()


def test_deform_conv_learns_and_takes_any_batch():
    torch.manual_seed(0)
    conv = ClampedDeformConv2d(2, 2, 3, 1, 1)
    x = torch.randn(33, 2, 4, 4, requires_grad=True)
    offset = torch.randn(33, 18, 4, 4, requires_grad=True)
    conv(x, offset).square().sum().backward()
    for tensor in (x, offset, conv.weight):
        assert tensor.grad.isfinite().all() and tensor.grad.abs().sum() > 0
    alone = conv(x[5:6], offset[5:6])
    torch.testing.assert_close(conv(x, offset)[5:6], alone)


@pytest.mark.parametrize(
    'dtype',
    [
        torch.bfloat16,
        pytest.param(torch.float16, marks=pytest.mark.cpu_fp16),
    ],
)
def test_deform_conv_takes_half_precision(dtype):
    torch.manual_seed(0)
    conv = ClampedDeformConv2d(2, 2, 3, 1, 1)
    x, offset = torch.randn(1, 2, 4, 4), torch.randn(1, 18, 4, 4)
    with torch.autocast('cpu', dtype=dtype):
        found = conv(x.to(dtype), offset.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(
        found.float(), conv(x, offset), atol=0.05, rtol=0.05
    )


def rounded(value):
    """As C rounds."""
    return math.copysign(math.floor(abs(value) + 0.5), value)


def roi_pool_as_loops(maps, rois, trans, size, scale, samples, gamma):
    """RoIs with the last pixel included, as the original has them.

    A bin with a sample a hair from where it stops to count is NaN: rounding
    tells on which side it is.
    """
    height, width = maps.shape[2:]
    out = np.zeros((len(rois), maps.shape[1], size, size))
    for r, (image, *box) in enumerate(rois):
        x1, y1 = (rounded(v) * scale - 0.5 for v in box[:2])
        x2, y2 = ((rounded(v) + 1) * scale - 0.5 for v in box[2:])
        w, h = max(x2 - x1, 0.1), max(y2 - y1, 0.1)
        for py, px in itertools.product(range(size), range(size)):
            left, top = x1 + px * w / size, y1 + py * h / size
            if trans is not None:
                left += trans[r, 0, py, px] * gamma * w
                top += trans[r, 1, py, px] * gamma * h
            values = []
            for iy, ix in itertools.product(range(samples), range(samples)):
                x = left + ix * w / size / samples
                y = top + iy * h / size / samples
                # How far inside of [-0.5, W - 0.5], [-0.5, H - 0.5].
                inside = min(x, y, width - 1 - x, height - 1 - y) + 0.5
                if abs(inside) < 1e-4:
                    values = [np.full(maps.shape[1], np.nan)]
                    break
                if inside >= 0:
                    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
                    values.append(
                        [bilinear(m, y, x) for m in maps[int(image)]]
                    )
            if values:
                out[r, :, py, px] = np.mean(values, 0)
    return out


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 5),
    st.booleans(),
)
def test_roi_pool_is_the_originals(seed, height, width, num, moved):
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(2, 3, height, width)).astype(np.float32)
    corners = rng.uniform(-30, 180, (num, 2, 2)).astype(np.float32)
    # Some are whole or half pixels.
    corners[::2] = np.round(corners[::2] * 2) / 2
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    images = rng.integers(0, 2, (num, 1))
    rois = np.concatenate([images, boxes], 1).astype(np.float32)
    trans = None
    if moved:
        trans = rng.normal(0, 2, (num, 2, 3, 3)).astype(np.float32)
    expected = roi_pool_as_loops(maps, rois, trans, 3, 1 / 16, 4, 0.1)
    found = deform_roi_pool(
        torch.from_numpy(maps),
        torch.from_numpy(rois + np.float32([0, 0, 0, 1, 1])),
        None if trans is None else torch.from_numpy(trans),
        output_size=3,
    ).numpy()
    assert found.shape == expected.shape
    expected = np.where(np.isnan(expected), found, expected)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_roi_pool_of_many_rois_is_that_of_each():
    torch.manual_seed(0)
    maps = torch.randn(3, 2, 8, 8, requires_grad=True)
    rois = torch.rand(20, 5) * 60
    rois[:, 3:] += rois[:, 1:3]
    rois[:, 0] = torch.randint(3, (20,))
    offset = torch.randn(20, 2, 7, 7, requires_grad=True)
    together = deform_roi_pool(maps, rois, offset)
    each = [
        deform_roi_pool(maps, rois[i : i + 1], offset[i : i + 1])
        for i in range(20)
    ]
    torch.testing.assert_close(together, torch.cat(each))
    together.square().sum().backward()
    assert maps.grad.isfinite().all() and maps.grad.abs().sum() > 0
    assert offset.grad.isfinite().all() and offset.grad.abs().sum() > 0


def test_samples_on_the_border_count():
    """A RoI from the image's corner has its first samples at -0.5."""
    maps = torch.arange(1.0, 5).view(1, 1, 2, 2)
    rois = torch.tensor([[0.0, 0, 0, 32, 32]])
    found = deform_roi_pool(maps, rois, output_size=2, samples=1)
    # Samples at -0.5, clamped to 0, and at 0.5.
    torch.testing.assert_close(
        found[0, 0], torch.tensor([[1.0, 1.5], [2.0, 2.5]])
    )


@pytest.mark.gpu
def test_a_gpu_gives_the_same():
    torch.manual_seed(0)
    conv = ClampedDeformConv2d(8, 8, 3, 1, 2, 2, deform_groups=4)
    x, offset = torch.randn(2, 8, 16, 16), torch.randn(2, 72, 16, 16)
    rois = torch.tensor([[1.0, 8, 4, 200, 190], [0.0, -9, 30, 300, 90]])
    trans = torch.randn(2, 2, 7, 7)
    results = []
    for device in ('cpu', 'cuda'):
        inputs = [
            t.to(device).requires_grad_() for t in (x, offset, rois, trans)
        ]
        maps = conv.to(device)(*inputs[:2])
        pooled = deform_roi_pool(maps, *inputs[2:])
        pooled.square().sum().backward()
        gradients = [inputs[i].grad for i in (0, 1, 3)]
        results.append([t.cpu() for t in (maps, pooled, *gradients)])
    for on_cpu, on_gpu in zip(*results, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, atol=1e-3, rtol=1e-3)
