"""VGG-16 for detectors that predict on its own feature maps."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from sniper_mmdet.registry import MODELS

# Names of the convolutions in checkpoints of mmcv's VGG.
_MMCV = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
# Convolutions of each stage, and its channels in base channels.
_DEPTHS = (2, 2, 3, 3, 3)
_WIDTHS = (1, 2, 4, 8, 8)


@MODELS.register_module()
class PlainVGG(BaseModule):
    """VGG-16 that outputs the maps before its poolings (SSH, section 3.1).

    mmcv's VGG outputs the maps after them, and mmdet's SSDVGG adds layers of
    SSD. Poolings round sizes up, as in Caffe. The last stage, of stride 16,
    has no pooling after it. Checkpoints of mmcv's VGG-16, of SSDVGG and of
    whole detectors with this backbone load as they are.

    Args:
        base_channels (int): Channels of the first stage. Defaults to 64.
        out_indices (Sequence[int]): Stages whose maps are the output, from 0
            on. Defaults to (3, 4), of strides 8 and 16.
        frozen_stages (int): Number of first stages that are not trained.
            Defaults to 0.
        norm_cfg (dict, optional): Config of a norm after each convolution.
            Training from random weights needs one. Defaults to None.
        init_cfg (dict, optional): Initialization. Defaults to None.
    """

    def __init__(
        self,
        base_channels: int = 64,
        out_indices: Sequence[int] = (3, 4),
        frozen_stages: int = 0,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.stages = nn.ModuleList()
        channels = 3
        for depth, width in zip(_DEPTHS, _WIDTHS, strict=True):
            layers = []
            for _ in range(depth):
                layers.append(
                    ConvModule(
                        channels,
                        width * base_channels,
                        3,
                        padding=1,
                        norm_cfg=norm_cfg,
                    )
                )
                channels = width * base_channels
            self.stages.append(nn.Sequential(*layers))
        for stage in self.stages[:frozen_stages]:
            stage.requires_grad_(False)
        self._register_load_state_dict_pre_hook(self._import_keys)

    def _import_keys(self, state_dict: dict, prefix: str, *_) -> None:
        outer = f'{prefix}backbone.'
        for key in [key for key in state_dict if key.startswith(outer)]:
            own = prefix + key.removeprefix(outer)
            state_dict[own] = state_dict.pop(key)
        places = [
            f'stages.{stage}.{place}.conv'
            for stage, depth in enumerate(_DEPTHS)
            for place in range(depth)
        ]
        for index, place in zip(_MMCV, places, strict=True):
            for kind in ('weight', 'bias'):
                old = f'{prefix}features.{index}.{kind}'
                if old in state_dict:
                    state_dict[f'{prefix}{place}.{kind}'] = state_dict.pop(old)

    def train(self, mode: bool = True) -> 'PlainVGG':
        """Set the mode; frozen stages also keep their norms' statistics."""
        super().train(mode)
        self.stages[: self.frozen_stages].eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for index, stage in enumerate(self.stages):
            if index:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            x = stage(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)
