"""Max RoI pooling as MXNet defines it."""

import torch
from torch import Tensor

from .deform_roi_pool import rounded


def max_roi_pool(
    features: Tensor,
    rois: Tensor,
    output_size: int = 7,
    spatial_scale: float = 1 / 16,
) -> Tensor:
    """Take the maximum of each bin of each RoI (Fast R-CNN, section 2.1).

    It differs from mmcv's ``RoIPool``, which has no kernel for CPUs, in the
    corners of a RoI: both are rounded to a cell, and both cells belong to the
    RoI. A bin outside the map is 0.

    Args:
        features (Tensor): (N, C, H, W).
        rois (Tensor): (R, 5), index of the image and x1, y1, x2, y2, input
            pixels, half-open.
        output_size (int): Bins per side. Defaults to 7.
        spatial_scale (float): Cells of the map per pixel. Defaults to 1 / 16.

    Returns:
        Tensor: (R, C, size, size), with the dtype of ``features``.
    """
    if not len(rois):
        # The result depends on the features: in distributed training every
        # process needs gradients.
        return features[:0, :, :1, :1].expand(-1, -1, *[output_size] * 2)
    images = rois[:, 0].long().tolist()
    rois = rois[:, 1:].detach().float()
    starts = rounded(rois[:, :2] * spatial_scale)
    ends = rounded((rois[:, 2:] - 1) * spatial_scale)
    columns, rows = (
        _edges(starts[:, axis], ends[:, axis], output_size, limit)
        for axis, limit in enumerate(features.shape[:1:-1])
    )
    return torch.stack(
        [
            _pooled(features[image], *own)
            for image, *own in zip(images, rows, columns, strict=True)
        ]
    )


def _edges(starts: Tensor, ends: Tensor, size: int, limit: int) -> list:
    """Return the first cells of bins along an axis, and their ends."""
    # The original's order of operations, in single precision: where it rounds
    # up, the last bin of a RoI of 57 cells has 10.
    lengths = (ends - starts + 1).clamp(min=1)[:, None] / size
    bins = torch.arange(size + 1, device=starts.device) * lengths
    bins = torch.stack([bins[:, :-1].floor(), bins[:, 1:].ceil()], 1)
    bins = (bins + starts[:, None, None]).clamp(0, limit)
    # A network that diverges should end in a loss that is not finite, not
    # here.
    return bins.nan_to_num().long().tolist()


def _pooled(x: Tensor, rows: list, columns: list) -> Tensor:
    """Pool one RoI from one map (C, H, W) to (C, size, size)."""
    left, right = min(columns[0]), max(*columns[1], min(columns[0]) + 1)
    left = min(left, x.shape[2] - 1)
    x = _maxima(x[:, :, left:right], rows, 1)
    columns = [[cell - left for cell in cells] for cells in columns]
    return _maxima(x, columns, 2)


def _maxima(x: Tensor, bins: list, axis: int) -> Tensor:
    """Return maxima of ranges of cells along an axis; 0 for an empty range."""
    lengths = [end - start for start, end in zip(*bins, strict=True)]
    steps = torch.arange(max(*lengths, 1), device=x.device)
    last = torch.tensor(lengths, device=x.device)[:, None] - 1
    # A shorter range repeats its last cell.
    cells = torch.tensor(bins[0], device=x.device)[:, None]
    cells = (cells + steps.minimum(last.clamp(min=0))).clamp(
        max=x.shape[axis] - 1
    )
    x = x.index_select(axis, cells.flatten()).unflatten(axis, cells.shape)
    x = x.amax(axis + 1)
    if min(lengths) > 0:
        return x
    shape = [1] * x.ndim
    shape[axis] = -1
    return x.masked_fill((last < 0).view(shape), 0)
