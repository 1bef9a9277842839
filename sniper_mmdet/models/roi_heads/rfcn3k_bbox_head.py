"""The decoupled head of R-FCN-3000: objectness, and one of many classes."""

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
    """The maps from which RoIs are pooled, for each image.

    Attributes:
        features (Tensor): (N, in_channels, H, W), the head's input.
        objectness (Tensor): (N, 2 * size**2, H, W), no object, then object.
        deltas (Tensor): (N, 4 * size**2, H, W).
    """

    features: Tensor
    objectness: Tensor
    deltas: Tensor

    def of_image(self, index: int) -> 'DecoupledMaps':
        """Return the maps of one image of the batch."""
        own = (value[index : index + 1] for value in vars(self).values())
        return DecoupledMaps(*own)


@MODELS.register_module()
class RFCN3kBBoxHead(BaseModule):
    """The head of R-FCN-3000 (CVPR 2018, section 3), as released.

    A position-sensitive branch predicts for each RoI whether it is an object,
    and class-agnostic deltas. A second branch predicts the class from the
    maxima of one map per class. The score of a class is the product of both
    probabilities.

    As released, the first branch has no activation after its 1x1 convolution.
    A bin outside the map counts as 0 in the mean of the second branch. Losses
    are sums divided by constants that fit 16 chips, whatever the batch. All
    objects are one super-class.

    Args:
        in_channels (int): Channels of the input. Defaults to 3072.
        feat_channels (int): Channels of both 1x1 convolutions. Defaults to
            1024.
        num_classes (int): Number of fine classes. Defaults to 3130.
        roi_feat_size (int): Bins per side. Defaults to 7.
        stride (int): Stride of the maps, input pixels. Defaults to 16.
        samples (int): Samples per side of a position-sensitive bin. Defaults
            to 4.
        bbox_coder (dict, optional): Config of the box coder. Defaults to a
            :class:`ReleasedBoxCoder` with the standard deviations (0.1, 0.1,
            0.2, 0.2).
        loss_cls (dict, optional): Loss of objectness. Defaults to cross
            entropy.
        loss_fine (dict, optional): Loss of classes. Defaults to cross entropy.
        loss_bbox (dict, optional): Loss of boxes. Defaults to smooth L1 with
            beta 1.
        avg_factors (Sequence[float]): Divisors of the sums of the three
            losses. Defaults to 16 chips of (300, 200, 188).
        init_cfg (dict, optional): Initialization. Defaults to a normal
            distribution of deviation 0.01.
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
        # Each branch has its own, so that hooks can tell them apart.
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
        # This replaces the ConvModule's own initialization.
        normal_init(self.fine_conv.conv, std=0.01)

    def forward(self, x: Tensor) -> DecoupledMaps:
        """Compute the maps for pooling from one map (N, in_channels, H, W)."""
        maps = self.conv(x)
        return DecoupledMaps(x, self.conv_cls(maps), self.conv_reg(maps))

    def objects(
        self, maps: DecoupledMaps, rois: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits (R, 2), no object and object, and deltas (R, 4).

        RoIs (R, 5) are the index of the image and a half-open box, input
        pixels.
        """
        logits = self.cls_pool(maps.objectness, rois).mean((2, 3))
        deltas = self.reg_pool(maps.deltas, rois).mean((2, 3))
        return logits, deltas

    def classes(self, maps: DecoupledMaps, rois: Tensor) -> Tensor:
        """Return logits (R, num_classes) of the fine classes."""
        fine = self.conv_fine(self.fine_conv(maps.features))
        return self.fine_pool(fine, rois).mean((2, 3))

    def roi_features(self, maps: DecoupledMaps, rois: Tensor) -> Tensor:
        """Return features (R, in_channels) of RoIs, for another classifier."""
        return self.feature_pool(maps.features, rois).mean((2, 3))

    def loss(self, maps: DecoupledMaps, targets: RoITargets) -> dict:
        """Return the losses of RoIs; labels below 0 have no loss.

        The boxes of the targets are half-open tensors on the device.
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
        """Return the pairs of a RoI and a class with scores above a threshold.

        Args:
            maps (DecoupledMaps): Maps of the image.
            rois (Tensor): (R, 5), RoIs of the image.
            objectness_thr (float): RoIs with a lower P(object) get no class.
            score_thr (float): Least score of a pair.
            max_shape (Sequence[int]): (height, width) to which boxes are
                clipped.

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
