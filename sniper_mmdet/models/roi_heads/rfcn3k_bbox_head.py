"""The decoupled head of R-FCN-3000: is it an object, and which of many."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import TASK_UTILS as MMDET_TASK_UTILS
from mmengine.model import BaseModule, normal_init
from torch import Tensor, nn

from sniper_mmdet.models.layers import MaxRoIPool, PositionSensitiveRoIPool
from sniper_mmdet.models.task_modules.released_targets import RoITargets
from sniper_mmdet.registry import MODELS


@dataclass
class DecoupledMaps:
    """What RoIs are pooled from, for each image.

    Attributes:
        features (Tensor): (N, in_channels, H, W), what enters the head.
        objectness (Tensor): (N, 2 * size**2, H, W), no object, then object.
        deltas (Tensor): (N, 4 * size**2, H, W).
    """

    features: Tensor
    objectness: Tensor
    deltas: Tensor

    def of_image(self, index: int) -> 'DecoupledMaps':
        """Those of one image of the batch."""
        own = (value[index : index + 1] for value in vars(self).values())
        return DecoupledMaps(*own)


@MODELS.register_module()
class RFCN3kBBoxHead(BaseModule):
    """The head of R-FCN-3000 (CVPR 2018, section 3), as released.

    A position-sensitive branch tells for each RoI whether it is an object,
    and class-agnostic deltas. A second one tells which object, by the maxima
    of a map for each class. The probability of a class is the product.

    As released, the first branch reads its 1x1 convolution without an
    activation, a bin that lies past the map counts as 0 in the mean of the
    second, and losses are sums by constants that fit 16 chips, whatever the
    batch. The objects are one super-class.

    Args:
        in_channels (int): Of what enters. Defaults to 3072.
        feat_channels (int): Of both 1x1 convolutions. Defaults to 1024.
        num_classes (int): Fine classes. Defaults to 3130.
        roi_feat_size (int): Bins a side. Defaults to 7.
        stride (int): Of the maps, input pixels. Defaults to 16.
        samples (int): A side of a position-sensitive bin. Defaults to 4.
        bbox_coder (dict, optional): Defaults to a :class:`ReleasedBoxCoder`
            of the standard deviations (0.1, 0.1, 0.2, 0.2).
        loss_cls (dict, optional): Of objectness. Defaults to cross entropy.
        loss_fine (dict, optional): Of classes. Defaults to cross entropy.
        loss_bbox (dict, optional): Defaults to smooth L1 with beta 1.
        avg_factors (Sequence[float]): What the sums of the three are divided
            by. Defaults to 16 chips of (300, 200, 188).
        init_cfg (dict, optional): Defaults to a normal distribution of 0.01.
    """

    def __init__(
        self,
        in_channels: int = 3072,
        feat_channels: int = 1024,
        num_classes: int = 3130,
        roi_feat_size: int = 7,
        stride: int = 16,
        samples: int = 4,
        bbox_coder: dict | None = None,
        loss_cls: dict | None = None,
        loss_fine: dict | None = None,
        loss_bbox: dict | None = None,
        avg_factors: Sequence[float] = (16 * 300, 16 * 200, 16 * 188),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            init_cfg or dict(type='Normal', layer='Conv2d', std=0.01)
        )
        self.num_classes = num_classes
        self.stride = stride
        self.avg_factors = tuple(avg_factors)
        bins = roi_feat_size**2
        self.conv = nn.Conv2d(in_channels, feat_channels, 1)
        self.conv_cls = nn.Conv2d(feat_channels, 2 * bins, 1)
        self.conv_reg = nn.Conv2d(feat_channels, 4 * bins, 1)
        self.fine_conv = ConvModule(in_channels, feat_channels, 1)
        self.conv_fine = nn.Conv2d(feat_channels, num_classes, 1)
        # One for each, so that hooks can tell what each has pooled.
        ps_pool = roi_feat_size, stride, samples
        self.cls_pool = PositionSensitiveRoIPool(*ps_pool)
        self.reg_pool = PositionSensitiveRoIPool(*ps_pool)
        self.fine_pool = MaxRoIPool(roi_feat_size, stride)
        self.feature_pool = MaxRoIPool(roi_feat_size, stride)
        self.bbox_coder = MMDET_TASK_UTILS.build(
            bbox_coder
            or dict(
                type='sniper_mmdet.ReleasedBoxCoder',
                target_stds=[0.1, 0.1, 0.2, 0.2],
            )
        )
        entropy = dict(type='CrossEntropyLoss', use_sigmoid=False)
        self.loss_cls = MMDET_MODELS.build(loss_cls or entropy)
        self.loss_fine = MMDET_MODELS.build(loss_fine or entropy)
        self.loss_bbox = MMDET_MODELS.build(
            loss_bbox or dict(type='SmoothL1Loss', beta=1.0)
        )

    def init_weights(self) -> None:
        super().init_weights()
        # A ConvModule has its own ways.
        normal_init(self.fine_conv.conv, std=0.01)

    def forward(self, x: Tensor) -> DecoupledMaps:
        """What RoIs are pooled from, of one map (N, in_channels, H, W)."""
        maps = self.conv(x)
        return DecoupledMaps(x, self.conv_cls(maps), self.conv_reg(maps))

    def objects(
        self, maps: DecoupledMaps, rois: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (R, 2), no object and object, and deltas (R, 4).

        RoIs (R, 5) are the index of the image and a half-open box, input
        pixels.
        """
        logits = self.cls_pool(maps.objectness, rois).mean((2, 3))
        deltas = self.reg_pool(maps.deltas, rois).mean((2, 3))
        return logits, deltas

    def classes(self, maps: DecoupledMaps, rois: Tensor) -> Tensor:
        """Logits (R, num_classes) of the fine classes."""
        fine = self.conv_fine(self.fine_conv(maps.features))
        return self.fine_pool(fine, rois).mean((2, 3))

    def roi_features(self, maps: DecoupledMaps, rois: Tensor) -> Tensor:
        """Features (R, in_channels) of RoIs, for a classifier of others."""
        return self.feature_pool(maps.features, rois).mean((2, 3))

    def loss(self, maps: DecoupledMaps, targets: RoITargets) -> dict:
        """Losses of all RoIs of a batch; RoIs of a label below 0 have none.

        Boxes of the targets are tensors here, half-open, on the device.
        """
        logits, deltas = self.objects(maps, targets.rois)
        known = targets.labels >= 0
        taught = targets.pos_labels >= 0
        fine = self.classes(maps, targets.pos_rois[taught])
        by_cls, by_fine, by_bbox = self.avg_factors
        return dict(
            loss_cls=self.loss_cls(
                logits[known], targets.labels[known], avg_factor=by_cls
            ),
            loss_fine=self.loss_fine(
                fine, targets.pos_labels[taught], avg_factor=by_fine
            ),
            loss_bbox=self.loss_bbox(
                deltas,
                targets.bbox_targets,
                targets.bbox_weights,
                avg_factor=by_bbox,
            ),
        )

    def predict(
        self,
        maps: DecoupledMaps,
        rois: Tensor,
        objectness_thr: float,
        score_thr: float,
        max_shape: Sequence[int],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pairs of a RoI and a class whose scores are above a threshold.

        Args:
            maps (DecoupledMaps): Of the image.
            rois (Tensor): (R, 5) of the image.
            objectness_thr (float): RoIs of a lower probability of an object
                are given no class.
            score_thr (float): Of pairs.
            max_shape (Sequence[int]): What boxes are clipped to.

        Returns:
            tuple: Boxes (K, 4), scores and labels (K,).
        """
        logits, deltas = self.objects(maps, rois)
        objectness = logits.softmax(1)[:, 1]
        likely = objectness > objectness_thr
        boxes = self.bbox_coder.decode(
            rois[likely, 1:], deltas[likely], max_shape
        )
        scores = self.classes(maps, rois[likely]).softmax(1)
        scores = scores * objectness[likely, None]
        which, labels = torch.where(scores > score_thr)
        return boxes[which], scores[which, labels], labels
