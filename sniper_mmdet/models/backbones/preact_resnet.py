"""The pre-activation ResNet of the released networks."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, Sequential, constant_init
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from sniper_mmdet.models.layers import ClampedDeformConv2d
from sniper_mmdet.registry import MODELS

_UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class PreActUnit(BaseModule):
    """Bottleneck: normalise, activate, convolve, three times, and add.

    A unit that changes the shape takes its shortcut after the first
    activation. The inner convolutions have a fourth of the ``channels``. The
    3x3 convolution has the stride; ``deform_groups`` makes it deformable, with
    dilation 2 and that number of groups of offsets. ``with_cp`` recomputes
    activations in the backward pass.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        norm_cfg: dict,
        deform_groups: int | None = None,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        inner = channels // 4
        self.with_cp = with_cp
        self.bn1 = build_norm_layer(norm_cfg, in_channels)[1]
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn2 = build_norm_layer(norm_cfg, inner)[1]
        self.offset = None
        if deform_groups is None:
            self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        else:
            spread = dict(kernel_size=3, padding=2, dilation=2)
            self.offset = nn.Conv2d(inner, 18 * deform_groups, **spread)
            self.conv2 = ClampedDeformConv2d(
                inner, inner, deform_groups=deform_groups, **spread
            )
            # Checkpoints of classifiers replace init_weights, and have no
            # offsets.
            constant_init(self.offset, 0)
        self.bn3 = build_norm_layer(norm_cfg, inner)[1]
        self.conv3 = nn.Conv2d(inner, channels, 1, bias=False)
        self.sc = None
        if in_channels != channels or stride != 1:
            self.sc = nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def init_weights(self) -> None:
        super().init_weights()
        if self.offset is not None:
            constant_init(self.offset, 0)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.with_cp and x.requires_grad):
            return self._forward(x)

        def contexts():
            return nullcontext(), self._same_statistics()

        return checkpoint(
            self._forward, x, use_reentrant=False, context_fn=contexts
        )

    @contextmanager
    def _same_statistics(self) -> Iterator[None]:
        """A context that keeps the statistics, for a batch's second pass."""
        norms = [m for m in self.modules() if isinstance(m, _BatchNorm)]
        momenta = {norm: norm.momentum for norm in norms}
        try:
            for norm in norms:
                norm.momentum = 0.0
            yield
        finally:
            for norm, momentum in momenta.items():
                norm.momentum = momentum

    def _forward(self, x: Tensor) -> Tensor:
        act = self.bn1(x).relu()
        out = self.bn2(self.conv1(act)).relu()
        if self.offset is None:
            out = self.conv2(out)
        else:
            out = self.conv2(out, self.offset(out))
        out = self.conv3(self.bn3(out).relu())
        return out + (x if self.sc is None else self.sc(act))


@MODELS.register_module()
class PreActResNet(BaseModule):
    """Pre-activation ResNet with a deformable, dilated last stage.

    This is the backbone of the released SNIPER and AutoFocus detectors (symbol
    ``resnet_mx``). A batch norm without scale normalises the images. The
    fourth stage keeps stride 16, and its 3x3 convolutions are deformable. The
    sums of a stage have neither normalisation nor activation after them.

    Args:
        depth (int): 50, 101 or 152. Defaults to 101.
        base_channels (int): Channels of the first convolution. Defaults to 64.
        deform_groups (int, optional): Groups of offsets in the last stage;
            None for no deformable convolution and stride 32. Defaults to 4.
        norm_cfg (dict, optional): Config of the norms. Defaults to None: batch
            norm as released.
        frozen_stages (int): Number of stages whose weights and statistics
            stay; 0 freezes the first convolution alone, -1 nothing. Defaults
            to 1.
        frozen_weights (bool): Whether the weights of ``frozen_stages`` stay as
            well, or only their statistics. Defaults to True.
        norm_eval (bool): Keep the statistics of all batch norms, for training
            with small batches. Defaults to False.
        with_cp (bool): Recompute activations in the backward pass, which
            saves memory and takes time; batches count once in the statistics.
            Defaults to False.
        init_cfg (dict, optional): Initialization. Defaults to None: Kaiming.

    Raises:
        ValueError: The depth is unknown.
    """

    def __init__(
        self,
        depth: int = 101,
        base_channels: int = 64,
        deform_groups: int | None = 4,
        norm_cfg: dict | None = None,
        frozen_stages: int = 1,
        frozen_weights: bool = True,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            init_cfg or dict(type='Kaiming', layer=['Conv2d', 'DeformConv2d'])
        )
        if depth not in _UNITS:
            raise ValueError(
                f'depth must be one of {sorted(_UNITS)}. Received: {depth}.'
            )
        norm_cfg = norm_cfg or dict(type='BN', eps=2e-5, momentum=0.005)
        self.frozen_stages = frozen_stages
        self.frozen_weights = frozen_weights
        self.norm_eval = norm_eval
        self.bn_data = build_norm_layer(norm_cfg, 3)[1]
        # As released: fix_gamma.
        self.bn_data.weight.requires_grad = False
        self.conv0 = nn.Conv2d(3, base_channels, 7, 2, 3, bias=False)
        self.bn0 = build_norm_layer(norm_cfg, base_channels)[1]
        self.pool = nn.MaxPool2d(3, 2, 1)
        last = base_channels
        for stage, units in enumerate(_UNITS[depth], start=1):
            deformed = deform_groups if stage == 4 else None
            stride = 1 if stage == 1 or deformed is not None else 2
            channels = base_channels * 2 ** (stage + 1)
            same = norm_cfg, deformed, with_cp
            layers = [PreActUnit(last, channels, stride, *same)]
            for _ in range(units - 1):
                layers.append(PreActUnit(channels, channels, 1, *same))
            self.add_module(f'stage{stage}', Sequential(*layers))
            last = channels
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return C4 (B, 16 * base_channels, h, w) and C5 (twice as many)."""
        x = self.bn0(self.conv0(self.bn_data(x))).relu()
        x = self.stage2(self.stage1(self.pool(x)))
        c4 = self.stage3(x)
        return c4, self.stage4(c4)

    def train(self, mode: bool = True) -> 'PreActResNet':
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages >= 0:
            stages = [f'stage{k + 1}' for k in range(self.frozen_stages)]
            for name in ('conv0', 'bn0', *stages):
                part = getattr(self, name).eval()
                if self.frozen_weights:
                    part.requires_grad_(False)
            # The shift of this norm trains, as released.
            self.bn_data.eval()
        for module in self.modules():
            if self.norm_eval and isinstance(module, _BatchNorm):
                module.eval()
