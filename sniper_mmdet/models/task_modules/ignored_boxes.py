"""The rule by which ignored boxes exclude background from training.

There are two kinds of ignored boxes. The first kind is an object that the chip
does not train, because it is cut or its size belongs to another level: boxes
that resemble it, by IoU, are ignored. The second kind is annotated as ignored,
such as a crowd or a region that nobody labelled, and may hold objects of any
size: background that lies in it, by its own area, is ignored too.
:class:`CutChip` gives the second kind the label -1.
"""

from collections.abc import Callable

import torch
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.chips.boxes import IN_REGION
from sniper_mmdet.structures import is_image_level


class IgnoresByIoU:
    """Holds the thresholds of :func:`resembles`; precedes mmdet's class.

    Args:
        ignore_iou_thr (float): See :func:`resembles`. Defaults to 0.3.
        in_region (float): See :func:`resembles`. Defaults to
            :data:`~sniper_mmdet.chips.boxes.IN_REGION`.
    """

    def __init__(
        self,
        *args,
        ignore_iou_thr: float = 0.3,
        in_region: float = IN_REGION,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.ignore_iou_thr = ignore_iou_thr
        self.in_region = in_region

    def resembling(
        self, boxes: Tensor, ignored: InstanceData | None, objects: Tensor
    ) -> Tensor:
        """Whether boxes (N, 4) are ignored beside objects (M, 4); bool.

        In an image with an image-level label all are, also boxes that reach
        beyond it.
        """
        if ignored is None or not len(ignored):
            return torch.zeros_like(boxes[:, 0], dtype=torch.bool)
        if is_image_level(ignored):
            return torch.ones_like(boxes[:, 0], dtype=torch.bool)
        how = dict(objects=objects, in_region=self.in_region)
        return resembles(boxes, ignored, self.ignore_iou_thr, **how)


def hand_on(
    batch: list[InstanceData], ignored: list[InstanceData | None] | None
) -> None:
    """Put the ignored boxes of images into ``ignored`` of their objects.

    It is for heads whose parents hand on objects only.
    """
    ignored = ignored or [None] * len(batch)
    for objects, one in zip(batch, ignored, strict=True):
        objects.set_metainfo(dict(ignored=one))


def hand_on_of(samples: SampleList) -> None:
    """Do that for the objects and ignored boxes of samples."""
    hand_on(
        [sample.gt_instances for sample in samples],
        [sample.get('ignored_instances') for sample in samples],
    )


def annotated(ignored: InstanceData) -> Tensor:
    """Whether ignored boxes (K,) are annotated as ignored; bool."""
    if 'labels' in ignored:
        return ignored.labels < 0
    return torch.zeros_like(ignored.bboxes[:, 0], dtype=torch.bool)


def by_kind(
    batch: list[InstanceData | None], objects: list[InstanceData]
) -> tuple[list[InstanceData], list[Tensor]]:
    """Split the ignored boxes of images into objects out of range and regions.

    Returns:
        tuple: The objects, all of the class 0, so that heads can say what
        these would have; and the boxes (K, 4) that are annotated as ignored.
    """
    others, regions = [], []
    for ignored, own in zip(batch, objects, strict=True):
        found = own[:0] if ignored is None else ignored
        region = annotated(found)
        boxes = found.bboxes[~region]
        labels = boxes.new_zeros(len(boxes), dtype=torch.long)
        others.append(InstanceData(bboxes=boxes, labels=labels))
        regions.append(found.bboxes[region])
    return others, regions


def are_inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Whether points (P, 2) lie inside one of the boxes (K, 4); bool."""
    x, y = points[:, :1], points[:, 1:]
    x1, y1, x2, y2 = boxes.unbind(1)
    return ((x1 < x) & (x < x2) & (y1 < y) & (y < y2)).any(1)


def resembles(
    boxes: Tensor,
    ignored: InstanceData,
    iou_thr: float,
    overlaps: Callable = bbox_overlaps,
    objects: Tensor | None = None,
    in_region: float = IN_REGION,
) -> Tensor:
    """Whether boxes resemble an ignored box, and must not be background.

    Args:
        boxes (Tensor (N, 4)): Anchors or predictions, x1, y1, x2, y2.
        ignored (:obj:`InstanceData`): K boxes and, if known, their labels.
        iou_thr (float): IoU above which a box resembles another one.
        overlaps (Callable): Computes the IoU of all pairs, or IoF with
            ``mode='iof'``.
        objects (Tensor (M, 4), optional): Objects that are trained. A box that
            is as near to an object as to the ignored box stays background: it
            is a second detection of the object. Defaults to None: there is no
            object.
        in_region (float): Share of its area above which a box lies in a box
            that is annotated as ignored. Defaults to
            :data:`~sniper_mmdet.chips.boxes.IN_REGION`.

    Returns:
        Tensor (N,): bool.
    """
    near = boxes.new_zeros(len(boxes))
    if objects is not None and len(objects):
        near = overlaps(boxes, objects).amax(1)
    least = near.clamp(min=iou_thr)[:, None]
    mistaken = (overlaps(boxes, ignored.bboxes) > least).any(1)
    regions = ignored.bboxes[annotated(ignored)]
    lies_in = (overlaps(boxes, regions, mode='iof') > in_region).any(1)
    return mistaken | (lies_in & (near <= iou_thr))
