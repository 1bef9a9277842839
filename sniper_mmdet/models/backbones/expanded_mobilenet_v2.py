"""MobileNetV2 as released with SNIPER."""

import math

from mmdet.models.backbones import MobileNetV2
from torch import nn

from sniper_mmdet.registry import MODELS


@MODELS.register_module()
class ExpandedMobileNetV2(MobileNetV2):
    """A MobileNetV2 with an expanding convolution in its first block, too.

    It differs from its parent in ``layer1`` alone: with an expansion of 1 the
    parent leaves out the 1x1 convolution, which the released weights have.
    """

    def make_layer(
        self, out_channels: int, num_blocks: int, stride: int, expand_ratio
    ) -> nn.Sequential:
        if expand_ratio == 1:
            if num_blocks != 1:
                raise ValueError(
                    'A layer with an expand_ratio of 1 must have one block. '
                    f'Received: {num_blocks}.'
                )
            # With any other expand_ratio the parent has the convolution.
            expand_ratio = math.nextafter(1, 2)
        return super().make_layer(
            out_channels, num_blocks, stride, expand_ratio
        )
