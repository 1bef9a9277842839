"""Deformable convolution with MXNet's rule at the border."""

import torch
from mmcv.ops import DeformConv2d
from torch import Tensor


class ClampedDeformConv2d(DeformConv2d):
    """A DeformConv2d whose samples near the border are those of MXNet.

    It differs from its parent in the value of a sample at ``p`` near the
    border of a map of ``size`` cells. The parent lets it fade out over (-1, 0)
    and (size - 1, size). Here it is 0 unless ``0 <= p < size`` in both axes,
    and between the last cell's centre and its far side it is the value of that
    cell. On a 32x32 map the border affects about half of the cells of a
    dilated 3x3 convolution, so that weights of one rule do not suit the other.
    """

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """Convolve a map (N, C, H, W) to (N, out_channels, oh, ow).

        ``offset`` (N, 2 * deform_groups * kh * kw, oh, ow) has y and x in
        cells for each tap of the kernel.
        """
        # The op takes images in equal groups; 32 is mmcv's number.
        steps = range(min(len(x), 32), 0, -1)
        self.im2col_step = next(n for n in steps if len(x) % n == 0)
        dtype = x.dtype
        # Positions need more digits than half precision has, and the op lacks
        # kernels for some of its types.
        with torch.autocast(x.device.type, enabled=False):
            offset = self._clamped(offset.float(), x.shape[-2:])
            out = super().forward(x.float(), offset)
        return out.to(dtype)

    def _clamped(self, offset: Tensor, size: tuple[int, int]) -> Tensor:
        n, _, oh, ow = offset.shape
        new = dict(device=offset.device, dtype=offset.dtype)
        axes = []
        for axis, cells in enumerate((oh, ow)):
            starts = torch.arange(cells, **new) * self.stride[axis]
            taps = torch.arange(self.kernel_size[axis], **new)
            taps = taps * self.dilation[axis] - self.padding[axis]
            axes.append(taps[:, None] + starts)
        ys, xs = axes[0][:, None, :, None], axes[1][None, :, None, :]
        base = torch.stack(torch.broadcast_tensors(ys, xs), 2)
        base = base.reshape(-1, 2, oh, ow)
        positions = offset.view(n, -1, *base.shape) + base
        sizes = offset.new_tensor(size).view(2, 1, 1)
        inside = (positions >= 0) & (positions < sizes)
        inside = inside.all(dim=3, keepdim=True)
        positions = positions.minimum(sizes - 1)
        # The op gives 0 beyond -1.
        positions = torch.where(inside, positions, -2)
        return (positions - base).view_as(offset)
