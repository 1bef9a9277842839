"""The feature maps on which SSH predicts."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet.models.necks import SSH
from mmengine.model import normal_init
from torch import Tensor, nn

from sniper_mmdet.registry import MODELS


@MODELS.register_module()
class SSHNeck(SSH):
    """An SSH neck on two maps of a backbone (SSH, sections 3.1 to 3.3).

    The parent has the detection modules alone; this neck also makes their
    inputs, from maps of strides 8 and 16. Module 1 (stride 8) sees both maps
    fused, module 2 (16) the second map as it is, module 3 (32) the second map
    pooled, or a third map of the backbone. Maps may have odd sizes: the second
    map, enlarged to twice its size, is cropped at the right and at the bottom.

    Args:
        in_channels (Sequence[int]): Channels of the backbone's two or three
            maps. Defaults to (512, 512), VGG-16's.
        fused_channels (int): Channels of module 1's input. Defaults to 128.
        out_channels (Sequence[int]): Channels of the three modules' outputs.
            Defaults to (256, 512, 512).
        norm_cfg (dict, optional): Config of a norm after each convolution.
            Defaults to None, as released.
        conv_cfg (dict, optional): Config of the convolutions. Defaults to
            None.
        init_cfg (dict, optional): Initialization. Defaults to None: a normal
            distribution of deviation 0.01.

    Raises:
        ValueError: The number of maps is not two or three.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (512, 512),
        fused_channels: int = 128,
        out_channels: Sequence[int] = (256, 512, 512),
        norm_cfg: dict | None = None,
        conv_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if len(in_channels) not in (2, 3):
            raise ValueError(
                'in_channels must be those of two maps, or three. '
                f'Received: {in_channels}.'
            )
        super().__init__(
            3,
            [fused_channels, in_channels[1], in_channels[-1]],
            out_channels,
            conv_cfg,
            norm_cfg,
            init_cfg,
        )
        how = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self.laterals = nn.ModuleList(
            ConvModule(channels, fused_channels, 1, **how)
            for channels in in_channels[:2]
        )
        self.fusion = ConvModule(
            fused_channels, fused_channels, 3, padding=1, **how
        )
        self.upsample = BilinearUpsample(fused_channels)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def init_weights(self) -> None:
        super().init_weights()
        if self.init_cfg is None:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    normal_init(module, std=0.01)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return maps of strides 8, 16 and 32."""
        fine, coarse = inputs[:2]
        pooled = inputs[2] if len(inputs) > 2 else self.pool(coarse)
        fine, up = (
            lateral(x)
            for lateral, x in zip(self.laterals, inputs[:2], strict=True)
        )
        up = self.upsample(up, fine.shape[-2:])
        return super().forward((self.fusion(fine + up), coarse, pooled))


class BilinearUpsample(nn.ConvTranspose2d):
    """Enlarges maps (B, C, h, w) to twice their size, and crops them.

    Its weights are those of bilinear interpolation and are never trained;
    released files have them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            channels, channels, 4, 2, 1, groups=channels, bias=False
        )
        self.requires_grad_(False)
        line = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.weight.copy_(torch.outer(line, line))

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge a map; return its first (height, width) cells."""
        return super().forward(x)[..., : size[0], : size[1]]
