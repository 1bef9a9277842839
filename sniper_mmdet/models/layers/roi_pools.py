"""RoI pooling as modules, so that hooks can see the results."""

from torch import Tensor, nn

from .deform_roi_pool import deform_roi_pool
from .max_roi_pool import max_roi_pool


class PositionSensitiveRoIPool(nn.Module):
    """:func:`deform_roi_pool` without offsets, with maps for each bin.

    Args:
        output_size (int): Bins per side.
        stride (int): Stride of the maps, input pixels.
        samples (int): Samples per side of a bin.
    """

    def __init__(self, output_size: int, stride: int, samples: int) -> None:
        super().__init__()
        self.settings = dict(
            output_size=output_size,
            groups=output_size,
            spatial_scale=1 / stride,
            samples=samples,
        )

    def forward(self, maps: Tensor, rois: Tensor) -> Tensor:
        """Pool maps (N, C * size**2, H, W) to (R, C, size, size)."""
        return deform_roi_pool(maps, rois, **self.settings)


class MaxRoIPool(nn.Module):
    """:func:`max_roi_pool` as a module."""

    def __init__(self, output_size: int, stride: int) -> None:
        super().__init__()
        self.settings = dict(output_size=output_size, spatial_scale=1 / stride)

    def forward(self, maps: Tensor, rois: Tensor) -> Tensor:
        """Pool maps (N, C, H, W) to (R, C, size, size)."""
        return max_roi_pool(maps, rois, **self.settings)
