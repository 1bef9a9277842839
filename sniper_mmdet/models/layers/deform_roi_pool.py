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
    """Average samples of each bin of each RoI, the bins moved by offsets.

    What sets it apart from mmcv's ``deform_roi_pool`` is what the released
    weights were trained with: a RoI's corners are rounded to pixels; samples
    lie at the *starts* of a bin's sub-bins; those more than half a cell
    outside of the map count for nothing, so that a bin is the average of the
    others, and the rest is clamped to the map.

    Each bin is a weighted sum of cells, so this is PyTorch's embedding bag,
    on any device and for all images at once.

    Args:
        features (Tensor): (N, C * groups**2, H, W).
        rois (Tensor): (R, 5), index of the image and x1, y1, x2, y2, input
            pixels, half-open.
        offset (Tensor, optional): (R, 2, size, size), x and y, of the RoI's
            width and height times ``gamma``. Defaults to None: not moved.
        output_size (int): Bins a side. Defaults to 7.
        spatial_scale (float): Cells of the map a pixel. Defaults to 1 / 16.
        samples (int): A side of a bin. Defaults to 4.
        gamma (float): Defaults to 0.1.
        groups (int): Position-sensitive pooling (R-FCN, section 2): a side of
            a RoI has so many parts, and each of them its own maps. Channel
            ``(c * groups + row) * groups + column`` is that of output ``c``
            for the bins in that part. Defaults to 1: all bins see all maps.

    Returns:
        Tensor: (R, C, size, size), of the type of ``features``.
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
    """What a bin is the weighted sum of, of points (R, bins, samples, 2).

    Indices of cells and their weights, (R, bins, samples * 4).
    """
    limits = points.new_tensor(size[::-1])
    # A network that diverges is to end in a loss that is not finite, not here.
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
    """Tensor (R, size * size, samples * samples, 2): x and y, cells."""
    # The original rounds the last pixel's corner, and ends one further.
    start = rounded(rois[:, 1:3]) * scale - 0.5
    end = (rounded(rois[:, 3:] - 1) + 1) * scale - 0.5
    sides = (end - start).clamp(min=0.1)
    # Along each axis, (R, 2, size) and (R, 2, samples), added up in the
    # original's order: samples on the map's very limit stay on its side.
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
    """Halves away from zero, as in C; PyTorch rounds them to even."""
    return (values.abs() + 0.5).floor() * values.sign()
