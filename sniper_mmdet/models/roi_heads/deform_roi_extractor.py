"""Extraction of RoI features from bins that move to the object."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from sniper_mmdet.models.layers import deform_roi_pool
from sniper_mmdet.registry import MODELS


@MODELS.register_module()
class DeformRoIExtractor(BaseModule):
    """Deformable RoI pooling from one map, with learned offsets.

    A first pooling without offsets feeds a layer that predicts the offsets of
    the second pooling's bins; see :func:`deform_roi_pool` (Deformable
    ConvNets, section 2.2).

    Args:
        channels (int): Channels of the map. Defaults to 256.
        output_size (int): Bins per side. Defaults to 7.
        stride (int): Stride of the map, input pixels. Defaults to 16.
        samples (int): Samples per side of a bin. Defaults to 4.
        gamma (float): Share of a RoI's sides that an offset of 1 moves a bin.
            Defaults to 0.1.
        init_cfg (dict, optional): Initialization. Defaults to offsets of 0.
    """

    # mmdet's RoI heads ask for the number of maps.
    num_inputs = 1

    def __init__(
        self,
        channels: int = 256,
        output_size: int = 7,
        stride: int = 16,
        samples: int = 4,
        gamma: float = 0.1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            init_cfg or dict(type='Constant', layer='Linear', val=0)
        )
        self.pooling = dict(
            output_size=output_size,
            spatial_scale=1 / stride,
            samples=samples,
            gamma=gamma,
        )
        bins = output_size**2
        self.offset = nn.Linear(channels * bins, 2 * bins)

    def forward(self, feats: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Return RoI features (R, C, output_size, output_size) of one map."""
        still = deform_roi_pool(feats[0], rois, **self.pooling)
        offset = self.offset(still.flatten(1))
        offset = offset.view(len(rois), 2, *still.shape[2:])
        return deform_roi_pool(feats[0], rois, offset, **self.pooling)
