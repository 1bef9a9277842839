"""Deformable RoI pooling as the released networks define it."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Sampled values that are held at once.
_AT_ONCE = 2**26


def deform_roi_pool(
    features: Tensor,
    rois: Tensor,
    offset: Tensor | None = None,
    output_size: int = 7,
    spatial_scale: float = 1 / 16,
    samples: int = 4,
    gamma: float = 0.1,
) -> Tensor:
    """Average samples of each bin of each RoI, the bins moved by offsets.

    What sets it apart from mmcv's ``deform_roi_pool`` is what the released
    weights were trained with: a RoI's corners are rounded to pixels; samples
    lie at the *starts* of a bin's sub-bins; those more than half a cell
    outside of the map count for nothing, so that a bin is the average of the
    others, and the rest is clamped to the map.

    The op is PyTorch's bilinear sampling, so it runs on any device; some RoIs
    of one image at a time, which bounds its memory.

    Args:
        features (Tensor): (N, C, H, W).
        rois (Tensor): (R, 5), index of the image and x1, y1, x2, y2, input
            pixels, half-open.
        offset (Tensor, optional): (R, 2, size, size), x and y, of the RoI's
            width and height times ``gamma``. Defaults to None: not moved.
        output_size (int): Bins a side. Defaults to 7.
        spatial_scale (float): Cells of the map a pixel. Defaults to 1 / 16.
        samples (int): A side of a bin. Defaults to 4.
        gamma (float): Defaults to 0.1.

    Returns:
        Tensor: (R, C, size, size), of the type of ``features``.
    """
    points = _sample_points(
        rois.float(), offset, output_size, spatial_scale, samples, gamma
    )
    height, width = features.shape[-2:]
    limits = points.new_tensor([width, height])
    inside = ((points >= -0.5) & (points <= limits - 0.5)).all(-1)
    # grid_sample counts from -1 to 1 between the centres of the last cells.
    grid = points / (limits - 1).clamp(min=1) * 2 - 1
    step = max(_AT_ONCE // (features.shape[1] * grid[0, ..., 0].numel()), 1)
    parts, order = [], []
    for image in rois[:, 0].unique().long():
        for part in (rois[:, 0] == image).nonzero()[:, 0].split(step):
            parts.append(_average(features[image], grid[part], inside[part]))
            order.append(part)
    if not parts:
        return features.new_zeros(0, features.shape[1], *[output_size] * 2)
    pooled = torch.cat(parts)[torch.cat(order).argsort()]
    return pooled.unflatten(-1, (output_size, output_size))


def _average(feature: Tensor, grid: Tensor, counts: Tensor) -> Tensor:
    """Tensor (R, C, bins): means of the samples of each bin that count.

    Args:
        feature (Tensor): (C, H, W).
        grid (Tensor): (R, bins, samples, 2).
        counts (Tensor): bool (R, bins, samples).
    """
    with torch.autocast(feature.device.type, enabled=False):
        values = F.grid_sample(
            feature.float()[None],
            grid.flatten(1, 2)[None],
            padding_mode='border',
            align_corners=True,
        )
    values = values.view(-1, *counts.shape)
    weights = counts / counts.sum(-1, keepdim=True).clamp(min=1)
    means = values.mul_(weights).sum(-1)
    return means.transpose(0, 1).to(feature.dtype)


def _sample_points(
    rois: Tensor,
    offset: Tensor | None,
    size: int,
    scale: float,
    samples: int,
    gamma: float,
) -> Tensor:
    """Tensor (R, size * size, samples * samples, 2): x and y, cells."""
    # Half-open boxes: the corner of the last pixel is what they end before.
    corners = (rois[:, 1:] + 0.5).floor() * scale - 0.5
    start, end = corners[:, :2], corners[:, 2:]
    sides = (end - start).clamp(min=0.1)
    steps = torch.arange(size * samples, device=rois.device) / samples
    # (R, 2, size * samples): along each axis, and then the product of both.
    along = start[..., None] + steps * (sides / size)[..., None]
    along = along.view(len(rois), 2, size, samples)
    xs = along[:, 0, None, :, None, :]
    ys = along[:, 1, :, None, :, None]
    if offset is not None:
        moved = offset.float() * gamma * sides[..., None, None]
        xs = xs + moved[:, 0, :, :, None, None]
        ys = ys + moved[:, 1, :, :, None, None]
    points = torch.stack(torch.broadcast_tensors(xs, ys), -1)
    return points.reshape(len(rois), size * size, samples * samples, 2)
