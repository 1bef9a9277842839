"""Prediction of where small objects may be (AutoFocus, section 3.1)."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.structures import SampleList
from mmengine.model import BaseModule, bias_init_with_prob
from torch import Tensor, nn

from sniper_mmdet.chips.focus import focus_labels
from sniper_mmdet.chips.presets import RELEASED_FOCUS_SIZES
from sniper_mmdet.chips.settings import check_focus_sizes
from sniper_mmdet.registry import MODELS
from sniper_mmdet.structures import annotated_boxes


@MODELS.register_module()
class FocusHead(BaseModule):
    """Predicts FocusPixels on feature maps of the wrapped detector.

    The head resizes the maps to the stride of the first one and concatenates
    them. Two convolutions with ReLU and a last 1x1 convolution give two
    classes. The loss is the cross entropy, averaged over the cells that count,
    unless ``loss_cls`` is given: where one cell of a thousand is a FocusPixel,
    a focal loss separates the classes better.

    Args:
        in_channels (int): Channels of all maps together.
        in_indices (Sequence[int]): Indices of the maps. Defaults to (0, ).
        stride (int): Stride of the first map, chip pixels. Defaults to 16.
        feat_channels (int): Channels of the convolutions. Defaults to 256.
        kernel_sizes (tuple[int]): Odd kernel sizes of the two convolutions.
            Defaults to (3, 1), as released.
        sizes (Sequence[float]): Object sizes in chip pixels, see
            :func:`~sniper_mmdet.chips.focus.focus_labels`. Defaults to the
            released (5, 64, 90).
        precedence (str): 'positive' or 'last', see the same function; ignored
            boxes come after the others. Defaults to 'positive'.
        loss_weight (float): Weight of the loss. Defaults to 1.
        loss_cls (dict, optional): Config of a loss of one sigmoid, such as
            mmdet's FocalLoss. It is divided by the number of FocusPixels, and
            all cells start at a probability of 1%. Defaults to None: cross
            entropy.
        norm_input (bool): Normalise each channel of the maps to mean 0 and
            deviation 1, by running statistics: the channels of a backbone
            differ by orders of magnitude. Defaults to False.
        init_cfg (dict, optional): Initialization. Defaults to a normal
            distribution of deviation 0.01.

    Raises:
        ValueError: A setting is out of bounds or, when the head runs, does not
            fit the feature maps.

    Examples:
        >>> import torch
        >>> head = FocusHead(in_channels=16, stride=16)
        >>> features = [torch.zeros(2, 16, 32, 32)]
        >>> head(features).shape
        torch.Size([2, 2, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        in_indices: Sequence[int] = (0,),
        stride: int = 16,
        feat_channels: int = 256,
        kernel_sizes: tuple[int, int] = (3, 1),
        sizes: Sequence[float] = RELEASED_FOCUS_SIZES,
        precedence: str = 'positive',
        loss_weight: float = 1.0,
        loss_cls: dict | None = None,
        norm_input: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            init_cfg or dict(type='Normal', layer='Conv2d', std=0.01)
        )
        check_focus_sizes('sizes', sizes)
        if precedence not in ('positive', 'last'):
            raise ValueError(
                "precedence must be 'positive' or 'last'. "
                f'Received: {precedence!r}.'
            )
        if len(kernel_sizes) != 2 or any(k % 2 != 1 for k in kernel_sizes):
            raise ValueError(
                'kernel_sizes must be two odd numbers. '
                f'Received: {kernel_sizes}.'
            )
        if min(in_indices, default=-1) < 0:
            raise ValueError(
                'in_indices must name maps, from 0 on. '
                f'Received: {in_indices}.'
            )
        self.in_channels = in_channels
        self.in_indices = tuple(in_indices)
        self.stride = stride
        self.loss_weight = loss_weight
        self.loss_cls = MODELS.build(loss_cls) if loss_cls else None
        self.sizes = tuple(sizes)
        self.precedence = precedence
        self.norm = (
            nn.BatchNorm2d(in_channels, affine=False) if norm_input else None
        )
        self.convs = nn.Sequential(
            *(
                ConvModule(channels, feat_channels, size, padding=size // 2)
                for channels, size in zip(
                    (in_channels, feat_channels), kernel_sizes, strict=True
                )
            )
        )
        self.out = nn.Conv2d(feat_channels, 2, 1)

    def init_weights(self) -> None:
        super().init_weights()
        if self.loss_cls is not None:
            nn.init.constant_(self.out.bias[1], bias_init_with_prob(0.01))

    @property
    def labelling(self) -> dict:
        """The arguments of :func:`~sniper_mmdet.chips.focus.focus_labels`."""
        names = 'stride', 'sizes', 'precedence'
        return {name: getattr(self, name) for name in names}

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        """Return logits (B, 2, h, w): no FocusPixel, FocusPixel."""
        if isinstance(features, Tensor):
            features = [features]
        if max(self.in_indices) >= len(features):
            raise ValueError(
                f'focus_head.in_indices must be below {len(features)}, the '
                f'number of feature maps. Received: {self.in_indices}.'
            )
        maps = [features[index] for index in self.in_indices]
        channels = sum(m.shape[1] for m in maps)
        if channels != self.in_channels:
            raise ValueError(
                f'focus_head.in_channels must be {channels}, those of the '
                f'maps {self.in_indices}. Received: {self.in_channels}.'
            )
        size = maps[0].shape[-2:]
        how = dict(mode='bilinear', align_corners=False)
        maps[1:] = [F.interpolate(m, size, **how) for m in maps[1:]]
        joined = torch.cat(maps, 1)
        if self.norm is not None:
            joined = self.norm(joined)
        return self.out(self.convs(joined))

    def predict(
        self, features: Sequence[Tensor], batch_data_samples: SampleList
    ) -> Tensor:
        """Return the probability (B, h, w) of FocusPixels."""
        return self._logits(features, batch_data_samples).softmax(1)[:, 1]

    def loss(
        self, features: Sequence[Tensor], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Return the loss on features (B, C, h, w) of a batch of chips.

        All boxes of the samples count, in chip pixels: also boxes that are
        ignored and boxes that the detector does not get. The samples do not
        have boxes of which a chip shows hardly anything (see ``min_visible``
        of :class:`CutChip`).
        """
        logits = self._logits(features, batch_data_samples)
        target = self.targets(batch_data_samples, logits.shape[-2:])
        target = target.to(logits.device)
        if self.loss_cls is not None:
            loss = self._sigmoid_loss(logits, target)
        else:
            losses = F.cross_entropy(
                logits, target, ignore_index=-1, reduction='sum'
            )
            loss = losses / (target >= 0).sum().clamp(min=1)
        return dict(loss_focus=self.loss_weight * loss)

    def _sigmoid_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The softmax of two classes is the sigmoid of their difference."""
        difference = (logits[:, 1] - logits[:, 0]).reshape(-1, 1)
        target = target.flatten()
        return self.loss_cls(
            difference,
            (target != 1).long(),  # 0: FocusPixel, 1: none
            weight=(target >= 0).float(),
            avg_factor=(target == 1).sum().clamp(min=1),
        )

    def targets(
        self, batch_data_samples: SampleList, size: tuple[int, int]
    ) -> Tensor:
        """Return labels (B, h, w), int64; the padding does not count."""
        height, width = size
        labels = np.full((len(batch_data_samples), height, width), -1)
        for row, sample in zip(labels, batch_data_samples, strict=True):
            h, w = sample.img_shape[:2]
            boxes = annotated_boxes(sample)
            found = focus_labels(boxes, (w, h), **self.labelling)
            found = found[:height, :width]
            row[: found.shape[0], : found.shape[1]] = found
        return torch.from_numpy(labels)

    def _logits(self, features: Sequence[Tensor], samples: SampleList):
        """Check the stride of the maps; compute logits in full precision."""
        logits = self(features).float()
        sides = samples[0].get('batch_input_shape', ())
        for cells, side in zip(logits.shape[-2:], sides, strict=False):
            # Detectors may round sizes; a wrong stride is wrong by half at
            # least.
            if abs(cells * self.stride - side) >= 2 * self.stride:
                raise ValueError(
                    f'focus_head.stride must be about {side / cells:g}, that '
                    f'of map {self.in_indices[0]}. Received: {self.stride}.'
                )
        return logits
