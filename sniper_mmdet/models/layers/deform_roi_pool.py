"""Deformable RoI pooling as the released networks define it."""

import torch
import torch.nn.functional as F
from torch import Tensor


def deform_roi_pool(
    features: Tensor,
    rois: Tensor,
    offset: Tensor | None = None,
    output_size: int = 7,
    spatial_scale: float = 1 / 16,
    samples: int = 4,
    gamma: float = 0.1,
    groups: int = 1,
) -> Tensor:
    """Average the samples of each RoI's bins, which offsets move.

    It differs from mmcv's ``deform_roi_pool`` as the training of the released
    weights did. A RoI's corners are rounded to pixels. Samples lie at the
    *starts* of a bin's sub-bins. Samples more than half a cell outside the map
    do not count: a bin is the average of the others. All other samples are
    clamped to the map.

    Each bin is a weighted sum of cells, which PyTorch's embedding bag computes
    on any device and for all images at once.

    Args:
        features (Tensor): (N, C * groups**2, H, W).
        rois (Tensor): (R, 5), index of the image and x1, y1, x2, y2, input
            pixels, half-open.
        offset (Tensor, optional): (R, 2, size, size), x and y in units of
            ``gamma`` times the RoI's width and height. Defaults to None: bins
            are not moved.
        output_size (int): Bins per side. Defaults to 7.
        spatial_scale (float): Cells of the map per pixel. Defaults to 1 / 16.
        samples (int): Samples per side of a bin. Defaults to 4.
        gamma (float): Scale of offsets. Defaults to 0.1.
        groups (int): Position-sensitive pooling (R-FCN, section 2): number of
            parts per side of a RoI, each with maps of its own. The bins of a
            part take output ``c`` from the channel ``(c * groups + row) *
            groups + column``. Defaults to 1: all bins see all maps.

    Returns:
        Tensor: (R, C, size, size), with the dtype of ``features``.
    """
    if offset is None:
        offset = rois.new_zeros(1, 2, 1, 1)
    points = _sample_points(
        rois.float(), offset, output_size, spatial_scale, samples, gamma
    )
    height, width = features.shape[2:]
    cells, weights = _corners(points, (height, width))
    parts = torch.arange(output_size, device=rois.device) * groups
    parts = parts.div(output_size, rounding_mode='floor')
    parts = (parts[:, None] * groups + parts).flatten()
    maps = rois[:, 0].long()[:, None] * groups**2 + parts
    cells += maps[:, :, None] * (height * width)
    rows = features.float().unflatten(1, (-1, groups**2))
    channels = rows.shape[1]
    rows = rows.permute(0, 2, 3, 4, 1).flatten(0, 3)
    with torch.autocast(features.device.type, enabled=False):
        pooled = F.embedding_bag(
            cells.flatten(0, 1),
            rows.contiguous(),
            mode='sum',
            per_sample_weights=weights.flatten(0, 1),
        )
    pooled = pooled.view(len(rois), output_size, output_size, channels)
    return pooled.permute(0, 3, 1, 2).contiguous().to(features.dtype)


def _corners(points: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return cells and weights of bins, from points (R, bins, samples, 2).

    Both are (R, bins, samples * 4): a bin is the weighted sum of its cells.
    """
    limits = points.new_tensor(size[::-1])
    # A network that diverges should end in a loss that is not finite, not
    # here.
    points = points.nan_to_num()
    counts = ((points >= -0.5) & (points <= limits - 0.5)).all(-1)
    shares = counts / counts.sum(-1, keepdim=True).clamp(min=1)
    points = points.clamp(min=0).minimum(limits - 1)
    low = points.detach().floor()
    high = (low + 1).minimum(limits - 1)
    (x, y), part = low.long().unbind(-1), points - low
    (right, down), (px, py) = high.long().unbind(-1), part.unbind(-1)
    cells = [j * size[1] + i for j in (y, down) for i in (x, right)]
    weights = [b * a * shares for b in (1 - py, py) for a in (1 - px, px)]
    return torch.cat(cells, -1), torch.cat(weights, -1)


def _sample_points(rois, offset, size, scale, samples, gamma) -> Tensor:
    """Return points (R, size * size, samples * samples, 2) in cells."""
    # The original rounds the last pixel's corner, and ends one pixel after.
    start = rounded(rois[:, 1:3]) * scale - 0.5
    end = (rounded(rois[:, 3:] - 1) + 1) * scale - 0.5
    sides = (end - start).clamp(min=0.1)
    # Terms along each axis, (R, 2, size) and (R, 2, samples), are added in the
    # original's order: samples exactly at the map's limit stay on its side.
    new = dict(device=rois.device)
    bins = (sides / size)[..., None]
    corners = start[..., None] + torch.arange(size, **new) * bins
    steps = torch.arange(samples, **new) * (bins / samples)
    moved = offset.float() * gamma * sides[..., None, None]
    xs = (corners[:, 0, None] + moved[:, 0])[..., None, None]
    ys = (corners[:, 1, :, None] + moved[:, 1])[..., None, None]
    xs = xs + steps[:, 0, None, None, None, :]
    ys = ys + steps[:, 1, None, None, :, None]
    points = torch.stack(torch.broadcast_tensors(xs, ys), -1)
    return points.reshape(len(rois), size * size, samples * samples, 2)


def rounded(values: Tensor) -> Tensor:
    """Round halves away from zero, as C does; PyTorch rounds them to even."""
    return (values.abs() + 0.5).floor() * values.sign()
