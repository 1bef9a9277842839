"""The second stage of R-FCN-3000."""

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.models.task_modules.released_targets import (
    LAST_PIXEL,
    RoITargets,
    assign_targets,
    fill_slots,
)
from sniper_mmdet.registry import MODELS
from sniper_mmdet.structures import chip_range

from .rfcn3k_bbox_head import DecoupledMaps


@MODELS.register_module()
class RFCN3kRoIHead(BaseRoIHead):
    """A RoI head that trains and detects as the original R-FCN-3000.

    It differs from mmdet's in three ways. It scores maps first and pools them
    afterwards. RoIs have other targets
    (:mod:`~.task_modules.released_targets`). And it returns all pairs of a RoI
    and a class above a threshold: the detector, :class:`RFCN3k`, runs their
    NMS in the image's pixels.

    Args:
        bbox_head (dict): An :class:`RFCN3kBBoxHead`.
        in_indices (Sequence[int]): Indices of the maps. Defaults to (0, 1).
        padding_counts (bool): As released: boxes are clipped to the padded
            input, and padding counts in the mean feature of an image. That is
            a fault: padding is empty, and depends on the other images of the
            batch. Defaults to False: the image alone.
        class_shift (bool): As released: a box of class c trains class c - 1.
            That is a fault, see :func:`~.released_targets.assign_targets`.
            Defaults to False.
        train_cfg (dict, optional): ``num_rois`` and ``num_pos`` per chip, and
            ``pos_iou_thr``.
        test_cfg (dict, optional): ``objectness_thr`` and ``score_thr``; the
            detector uses the other settings.
        init_cfg (dict, optional): Initialization. Defaults to None.
    """

    def __init__(
        self,
        bbox_head: dict,
        in_indices: Sequence[int] = (0, 1),
        padding_counts: bool = False,
        class_shift: bool = False,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            bbox_head=bbox_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
        )
        self.in_indices = tuple(in_indices)
        self.padding_counts = padding_counts
        self.class_shift = class_shift

    def init_bbox_head(self, bbox_roi_extractor, bbox_head: dict) -> None:
        self.bbox_head = MODELS.build(bbox_head)

    def init_mask_head(self, *args) -> None:
        raise NotImplementedError('R-FCN-3000 has no masks.')

    def init_assigner_sampler(self) -> None:
        """Do nothing: RoIs are not sampled, and labels are the original's."""

    def maps(self, x: Sequence[Tensor]) -> DecoupledMaps:
        """Compute the maps for pooling from the backbone's maps."""
        return self.bbox_head(
            torch.cat([x[index] for index in self.in_indices], 1)
        )

    def image_features(
        self, x: Sequence[Tensor], samples: SampleList
    ) -> Tensor:
        """Return mean features (N, in_channels), see ``padding_counts``."""
        x = torch.cat([x[index] for index in self.in_indices], 1)
        if self.padding_counts:
            return x.mean((2, 3))
        stride = self.bbox_head.stride
        means = []
        for own, sample in zip(x, samples, strict=True):
            rows, columns = (-(-side // stride) for side in sample.img_shape)
            means.append(own[:, :rows, :columns].mean((1, 2)))
        return torch.stack(means)

    def forward(
        self,
        x: Sequence[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits of objectness and classes, and deltas, of all RoIs."""
        rois = bbox2roi([found.bboxes for found in rpn_results_list])
        maps = self.maps(x)
        logits, deltas = self.bbox_head.objects(maps, rois)
        return logits, self.bbox_head.classes(maps, rois), deltas

    def loss(
        self,
        x: Sequence[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList,
    ) -> dict:
        targets = self.targets(rpn_results_list, batch_data_samples)
        return self.bbox_head.loss(self.maps(x), targets)

    @torch.no_grad()
    def targets(
        self,
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList,
    ) -> RoITargets:
        """Return the targets of a batch's RoIs: tensors, half-open boxes."""
        rois, gts, classes = [], [], []
        for found, sample in zip(
            rpn_results_list, batch_data_samples, strict=True
        ):
            known = sample.gt_instances
            gts.append(known.bboxes.cpu().numpy() - LAST_PIXEL)
            classes.append(known.labels.cpu().numpy())
            boxes = found.bboxes.cpu().numpy() - LAST_PIXEL
            own = chip_range(sample.metainfo), self.train_cfg.num_rois
            rois.append(fill_slots(boxes, gts[-1], *own))
        targets = assign_targets(
            rois,
            gts,
            classes,
            self.train_cfg.pos_iou_thr,
            self.train_cfg.num_pos,
            self.bbox_head.bbox_coder.stds,
            self.class_shift,
        )
        return as_tensors(targets, rpn_results_list[0].bboxes.device)

    def predict(
        self,
        x: Sequence[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList,
        rescale: bool = False,
    ) -> list[InstanceData]:
        maps = self.maps(x)
        results = []
        for index, (found, sample) in enumerate(
            zip(rpn_results_list, batch_data_samples, strict=True)
        ):
            shape = sample.img_shape
            if self.padding_counts:
                shape = sample.batch_input_shape
            boxes, scores, labels = self.bbox_head.predict(
                maps.of_image(index),
                bbox2roi([found.bboxes]),
                self.test_cfg.objectness_thr,
                self.test_cfg.score_thr,
                shape,
            )
            if rescale:
                boxes = boxes / boxes.new_tensor(sample.scale_factor).repeat(2)
            results.append(
                InstanceData(bboxes=boxes, scores=scores, labels=labels)
            )
        return results


def as_tensors(targets: RoITargets, device: torch.device) -> RoITargets:
    """Convert targets to tensors with half-open boxes."""
    values = {
        name: torch.from_numpy(np.ascontiguousarray(value)).to(device)
        for name, value in vars(targets).items()
        if value is not None
    }
    for name in ('rois', 'pos_rois'):
        values[name] = values[name] + values[name].new_tensor([0, 0, 0, 1, 1])
    return RoITargets(**values)
