"""RoI heads that learn classes also from images without boxes."""

from collections.abc import Sequence

import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sniper_mmdet.registry import MODELS
from sniper_mmdet.structures import image_level, is_image_level
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError


def last_of(head: nn.Module | None) -> nn.Module | None:
    """The head itself, or in a cascade that of the last stage."""
    return head[-1] if isinstance(head, nn.ModuleList) else head


def last_head(roi_head: nn.Module) -> nn.Module:
    """The box head of a RoI head, in a cascade that of the last stage."""
    return last_of(roi_head.bbox_head)


def last_stage(roi_head: nn.Module, x: Sequence[Tensor], rois: Tensor) -> dict:
    """Run the box head, in a cascade that of the last stage, on RoIs.

    Args:
        roi_head (nn.Module): A StandardRoIHead or CascadeRoIHead.
        x (Sequence[Tensor]): The maps of a batch.
        rois (Tensor): (R, 5): index of the image, then the box.

    Returns:
        dict: ``cls_score`` and ``bbox_pred`` of the R RoIs.
    """
    if isinstance(roi_head.bbox_head, nn.ModuleList):
        return roi_head._bbox_forward(len(roi_head.bbox_head) - 1, x, rois)
    return roi_head._bbox_forward(x, rois)


class _ImageLabels:
    """The part that :class:`DecoupledRoIHead` adds to a RoI head.

    It is a parent before mmdet's class.
    """

    def __init__(
        self,
        *args,
        image_rois: str = 'objects',
        num_image_rois: int = 4,
        image_loss_weight: float = 0.25,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_choice('image_rois', image_rois, 'objects', 'whole')
        self.image_rois = image_rois
        self.num_image_rois = num_image_rois
        self.image_loss_weight = image_loss_weight

    def loss(
        self,
        x: Sequence[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList,
    ) -> dict:
        proposals = list(rpn_results_list)
        labelled = []
        for i, sample in enumerate(batch_data_samples):
            if not is_image_level(sample.get('ignored_instances')):
                continue
            labelled.append((i, proposals[i].bboxes, sample))
            # Its RoIs have no targets of objectness and boxes.
            proposals[i] = proposals[i][:0]
        losses = super().loss(x, proposals, batch_data_samples)
        if labelled:
            losses['loss_image'] = self.image_loss(x, labelled)
        return losses

    def image_loss(
        self,
        x: Sequence[Tensor],
        labelled: list[tuple[int, Tensor, DetDataSample]],
    ) -> Tensor:
        """Return the loss of classes for images with image-level labels.

        Args:
            x (Sequence[Tensor]): The maps of the batch.
            labelled (list[tuple]): Index in the batch, proposals (P, 4) and
                data sample of each such image.
        """
        head = last_head(self)
        features, labels = [], []
        for i, proposals, sample in labelled:
            whole = sample.ignored_instances.bboxes
            whole = getattr(whole, 'tensor', whole)
            label = _label_of(sample, head.num_classes)
            if self.image_rois == 'whole':
                proposals = proposals[:0]
            # The whole image is one of the candidates for the object.
            boxes = torch.cat([whole[:1], proposals[:63, :4]])
            rois = bbox2roi([boxes])
            rois[:, 0] = i
            logits, found = head.split(last_stage(self, x, rois)['cls_score'])
            objectness = 1 - logits.detach().softmax(1)[:, -1]
            best = objectness.topk(min(self.num_image_rois, len(rois)))[1]
            features.append(found[best])
            labels += [label] * len(best)
        labels = torch.tensor(labels, device=x[0].device)
        loss = head.fine_loss(torch.cat(features), labels)
        return self.image_loss_weight * loss


def _label_of(sample: DetDataSample, num_classes: int) -> int:
    labels = image_level(sample.ignored_instances.labels).tolist()
    if len(labels) != 1 or not 0 <= labels[0] < num_classes:
        raise UserError(
            f'{sample.metainfo.get("img_path")}: an image-level label must be '
            f'one of the head, 0 to {num_classes - 1}. Received: {labels}.'
        )
    return labels[0]


@MODELS.register_module()
class DecoupledRoIHead(_ImageLabels, StandardRoIHead):
    """A StandardRoIHead that learns from image-level labels, too.

    It differs from its parent in one loss: images of an ``ImageLabelDataset``
    train the classes of a :class:`DecoupledBBoxHead`, and nothing else, by
    ``loss_image``. Such images do not train objectness and boxes. The RPN must
    not take them for background: its assigner must be a
    :class:`RangeAwareAssigner`, as in ``configs/_base_/models/decoupled.py``.

    Args:
        *args: Arguments of its parent.
        image_rois (str): 'objects', the RoIs that are most likely objects, or
            'whole', the image as one RoI. Defaults to 'objects'.
        num_image_rois (int): RoIs per image. Defaults to 4.
        image_loss_weight (float): Weight of ``loss_image``. Defaults to 0.25.
        **kwargs: Arguments of its parent.
    """


@MODELS.register_module()
class DecoupledCascadeRoIHead(_ImageLabels, CascadeRoIHead):
    """A :class:`DecoupledRoIHead` of several stages; the last has classes."""
