"""The second stage of the released networks."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures import DetDataSample, SampleList
from mmengine.model import normal_init
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS
from sniper_mmdet.structures import in_released_range


@MODELS.register_module()
class ReleasedRoIHead(StandardRoIHead):
    """A StandardRoIHead that learns from all RoIs of a chip's valid range.

    It differs from its parent in three ways. A 1x1 convolution reduces the
    concatenated maps. Boxes out of range label RoIs like all others, because
    the RPN drops RoIs of other sizes. Boxes in range are RoIs themselves, and
    replace the worst proposals (SNIPER, section 3.3).

    A box that is annotated as ignored, such as a crowd, labels no RoI: its
    label is -1 (see :class:`CutChip`), and a :class:`RangeAwareAssigner`
    leaves out the RoIs that lie in it. The original, which reads no crowds,
    takes these RoIs for background.

    Args:
        *args: Arguments of StandardRoIHead.
        in_channels (int): Channels of all maps together. Defaults to 3072.
        out_channels (int): Channels of the map from which RoIs are pooled.
            Defaults to 256.
        in_indices (Sequence[int]): Indices of the maps. Defaults to (0, 1).
        num_rois (int): Upper bound of the RoIs of a chip in training. Defaults
            to 300.
        **kwargs: Arguments of StandardRoIHead. ``train_cfg`` should have a
            sampler that takes all RoIs, mmdet's ``PseudoSampler``.
    """

    def __init__(
        self,
        *args,
        in_channels: int = 3072,
        out_channels: int = 256,
        in_indices: Sequence[int] = (0, 1),
        num_rois: int = 300,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.num_rois = num_rois
        self.in_indices = tuple(in_indices)
        self.reduction = ConvModule(in_channels, out_channels, 1)

    def init_weights(self) -> None:
        super().init_weights()
        normal_init(self.reduction.conv, std=0.01)

    def forward(self, x: Sequence[Tensor], *args, **kwargs) -> tuple:
        return super().forward(self.reduced(x), *args, **kwargs)

    def predict(self, x: Sequence[Tensor], *args, **kwargs) -> list:
        return super().predict(self.reduced(x), *args, **kwargs)

    def loss(
        self,
        x: Sequence[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList,
    ) -> dict:
        samples = [_all_labelled(sample) for sample in batch_data_samples]
        proposals = [
            _with_boxes(found.bboxes, sample, self.num_rois)
            for found, sample in zip(rpn_results_list, samples, strict=True)
        ]
        return super().loss(self.reduced(x), proposals, samples)

    def reduced(self, x: Sequence[Tensor]) -> tuple[Tensor]:
        """Return the map (B, out_channels, h, w) for RoI pooling."""
        maps = [x[index] for index in self.in_indices]
        return (self.reduction(torch.cat(maps, 1)),)


def _all_labelled(sample: DetDataSample) -> DetDataSample:
    """Return a sample whose boxes include those that other chips train."""
    labelled = DetDataSample(metainfo=sample.metainfo)
    others = sample.ignored_instances
    boxes = [sample.gt_instances, others[others.labels >= 0]]
    labelled.gt_instances = InstanceData.cat(boxes)
    labelled.ignored_instances = others[others.labels < 0]
    return labelled


def _with_boxes(proposals: Tensor, sample, num: int) -> InstanceData:
    """Return the best proposals and the boxes in range, ``num`` together."""
    boxes = sample.gt_instances.bboxes
    boxes = boxes[in_released_range(boxes, sample.metainfo)]
    kept = proposals[: max(num - len(boxes), 0)]
    return InstanceData(bboxes=torch.cat([kept, boxes]))
