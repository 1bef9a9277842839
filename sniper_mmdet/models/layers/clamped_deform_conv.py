"""Deformable convolution with MXNet's rule at the border."""

import torch
from mmcv.ops import DeformConv2d
from torch import Tensor


class ClampedDeformConv2d(DeformConv2d):
    """A DeformConv2d whose samples near the border are those of MXNet.

    Differs from its parent by where a sample at ``p`` of a map of ``size``
    cells comes from. The parent fades it out over (-1, 0) and
    (size - 1, size); here it is 0 unless ``0 <= p < size`` in both axes, and
    up to the last cell's far side it is that cell. On a 32x32 map about half
    of the cells of a dilated 3x3 feel the border, so weights that were trained
    with one rule are not right under the other.
    """

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """Tensor (N, out_channels, oh, ow) of one (N, C, H, W).

        ``offset`` (N, 2 * deform_groups * kh * kw, oh, ow) has, for each tap
        of the kernel, y and x in cells.
        """
        # The op takes images in equal groups; 32 is mmcv's number.
        steps = range(min(len(x), 32), 0, -1)
        self.im2col_step = next(n for n in steps if len(x) % n == 0)
        dtype = x.dtype
        # Positions need more digits than half precision has, and the op has
        # no kernel for all of its kinds.
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
        # Beyond -1 the op gives 0.
        positions = torch.where(inside, positions, -2)
        return (positions - base).view_as(offset)
