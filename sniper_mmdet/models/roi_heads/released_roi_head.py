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

    Differs from its parent: concatenated maps are reduced by a 1x1
    convolution; boxes out of range label RoIs like all others, since the RPN
    leaves out RoIs of other sizes; boxes in range are RoIs themselves, in the
    place of the worst proposals (SNIPER, section 3.3).

    A box that is annotated as ignored, as a crowd is, labels nothing: its
    label is -1 (see :class:`CutChip`), and a :class:`RangeAwareAssigner`
    leaves out the RoIs that lie in it. To the original, which reads no crowd,
    those are background.

    Args:
        *args: Of StandardRoIHead.
        in_channels (int): Of all maps together. Defaults to 3072.
        out_channels (int): Of what RoIs are pooled from. Defaults to 256.
        in_indices (Sequence[int]): The maps. Defaults to (0, 1).
        num_rois (int): RoIs of a chip, at most, in training. Defaults to 300.
        **kwargs: Of StandardRoIHead. ``train_cfg`` should have a sampler that
            takes all RoIs, mmdet's ``PseudoSampler``.
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
        """What RoIs are pooled from, one map (B, out_channels, h, w)."""
        maps = [x[index] for index in self.in_indices]
        return (self.reduction(torch.cat(maps, 1)),)


def _all_labelled(sample: DetDataSample) -> DetDataSample:
    """A sample whose boxes are those that other chips train, too."""
    labelled = DetDataSample(metainfo=sample.metainfo)
    others = sample.ignored_instances
    boxes = [sample.gt_instances, others[others.labels >= 0]]
    labelled.gt_instances = InstanceData.cat(boxes)
    labelled.ignored_instances = others[others.labels < 0]
    return labelled


def _with_boxes(proposals: Tensor, sample, num: int) -> InstanceData:
    """The best proposals and the boxes in range, so many together."""
    boxes = sample.gt_instances.bboxes
    boxes = boxes[in_released_range(boxes, sample.metainfo)]
    kept = proposals[: max(num - len(boxes), 0)]
    return InstanceData(bboxes=torch.cat([kept, boxes]))
