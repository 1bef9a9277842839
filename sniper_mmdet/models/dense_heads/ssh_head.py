"""The head of SSH."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import AnchorHead
from mmdet.models.task_modules.prior_generators import anchor_inside_flags
from mmdet.models.utils import multi_apply
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sniper_mmdet.registry import MODELS


@MODELS.register_module()
class SSHHead(AnchorHead):
    """An AnchorHead with its own layers for each map (SSH, sections 3.2, 3.4).

    It differs from its parent in two ways. Each map has layers of its own,
    with its own number of channels. And each map learns on its own: its
    anchors are compared with all objects and sampled, and its losses are
    averaged over the sampled anchors of an image. An object whose size fits no
    anchor of a map is background there.

    ``allowed_border`` in ``train_cfg`` may have one number per map: the input
    pixels by which anchors may exceed the image's border. If no anchor is
    within, all are used. A sampler gets the head's own predictions as
    ``scores``.

    Args:
        num_classes (int): Number of classes. Defaults to 1, faces.
        in_channels (Sequence[int]): Channels of each map. Defaults to (256,
            512, 512).
        gt_offset (float): Input pixels by which the head makes boxes wider and
            higher. 1 is for annotations whose last pixel counts, as the
            original reads WIDER FACE. Defaults to 0.
        **kwargs: Arguments of AnchorHead.
    """

    def __init__(
        self,
        num_classes: int = 1,
        in_channels: Sequence[int] = (256, 512, 512),
        gt_offset: float = 0,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.gt_offset = gt_offset

    def _init_layers(self) -> None:
        def parts(size):
            return nn.ModuleList(
                nn.Conv2d(channels, number * size, 1)
                for channels, number in zip(
                    self.in_channels,
                    self.prior_generator.num_base_priors,
                    strict=True,
                )
            )

        self.cls_convs = parts(self.cls_out_channels)
        self.reg_convs = parts(self.bbox_coder.encode_size)

    def forward(self, x: Sequence[Tensor]) -> tuple[list, list]:
        """Return class scores and deltas of each map (B, A * C, h, w)."""
        return multi_apply(
            self.forward_single, x, self.cls_convs, self.reg_convs
        )

    def forward_single(
        self, x: Tensor, classify: nn.Module, regress: nn.Module
    ) -> tuple[Tensor, Tensor]:
        return classify(x), regress(x)

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict[str, list[Tensor]]:
        """Return the losses of each map."""
        sizes = [tuple(scores.shape[-2:]) for scores in cls_scores]
        anchors, valid = self.get_anchors(
            sizes, batch_img_metas, cls_scores[0].device
        )
        anchors, valid = (zip(*own, strict=True) for own in (anchors, valid))
        borders = self.train_cfg['allowed_border']
        if not isinstance(borders, Sequence):
            borders = [borders] * len(sizes)
        ignored = batch_gt_instances_ignore or [None] * len(batch_img_metas)
        images = batch_gt_instances, batch_img_metas, ignored
        images = list(zip(*images, strict=True))
        maps = cls_scores, bbox_preds, anchors, valid, borders
        losses = [
            self._losses_of_map(*of_map, images)
            for of_map in zip(*maps, strict=True)
        ]
        loss_cls, loss_bbox = map(list, zip(*losses, strict=True))
        return dict(loss_cls=loss_cls, loss_bbox=loss_bbox)

    def _losses_of_map(
        self, scores, deltas, anchors, valid, border, images
    ) -> tuple[Tensor, Tensor]:
        """Return losses of one map; anchors and valid are per image."""
        scores, deltas = (
            x.permute(0, 2, 3, 1).reshape(-1, size)
            for x, size in (
                (scores, self.cls_out_channels),
                (deltas, self.bbox_coder.encode_size),
            )
        )
        found = self._probabilities(scores.detach()).chunk(len(images))
        targets = [
            self.targets_of_map(*priors, *image, border)
            for *priors, image in zip(
                anchors, valid, found, images, strict=True
            )
        ]
        labels, weights, boxes, positive = map(
            torch.cat, zip(*targets, strict=True)
        )
        # Each image counts the same, whatever the number of its sampled
        # anchors.
        loss_cls = self.loss_cls(
            scores, labels, weights, avg_factor=len(images)
        )
        weights = (weights * positive)[:, None].expand_as(boxes)
        loss_bbox = self.loss_bbox(
            deltas, boxes, weights, avg_factor=len(images)
        )
        return loss_cls, loss_bbox

    def _probabilities(self, scores: Tensor) -> Tensor:
        """Probability (N,) of an object of any class, from scores (N, C)."""
        if self.use_sigmoid_cls:
            return scores.sigmoid().amax(1)
        return scores.softmax(1)[:, :-1].sum(1)

    def targets_of_map(
        self,
        anchors: Tensor,
        valid: Tensor,
        found: Tensor,
        gt_instances: InstanceData,
        img_meta: dict,
        ignored: InstanceData | None,
        border: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compute the targets of one map of one image.

        Args:
            anchors (Tensor): (N, 4).
            valid (Tensor): (N,), whether the cell of an anchor is in the
                image.
            found (Tensor): (N,), predicted probabilities of an object.
            gt_instances (:obj:`InstanceData`): ``bboxes`` and ``labels``.
            img_meta (dict): Metainfo with ``img_shape``.
            ignored (:obj:`InstanceData`, optional): Boxes that are ignored.
            border (float): See ``allowed_border``.

        Returns:
            tuple: Labels (N,), ``num_classes`` for background; weights (N,), 1
            / number of sampled anchors for these, 0 for the others; deltas (N,
            4), 0 without an object; and which anchors were sampled as objects.
        """
        shape = img_meta['img_shape'][:2]
        used = anchor_inside_flags(anchors, valid, shape, border)
        if not used.any():
            used = torch.ones_like(used)
        (used,) = used.nonzero(as_tuple=True)
        priors = InstanceData(priors=anchors[used])
        gt_instances = self._enlarged(gt_instances)
        result = self.assigner.assign(
            priors, gt_instances, ignored and self._enlarged(ignored)
        )
        sampled = self.sampler.sample(
            result, priors, gt_instances, scores=found[used]
        )
        objects, others = used[sampled.pos_inds], used[sampled.neg_inds]
        labels = anchors.new_full(
            (len(anchors),), self.num_classes, dtype=torch.long
        )
        labels[objects] = sampled.pos_gt_labels
        positive = labels < self.num_classes
        weights = torch.zeros_like(found)
        weights[objects] = weights[others] = 1 / max(
            len(objects) + len(others), 1
        )
        deltas = anchors.new_zeros(len(anchors), self.bbox_coder.encode_size)
        if len(objects):
            deltas[objects] = self.bbox_coder.encode(
                sampled.pos_priors, sampled.pos_gt_bboxes
            )
        return labels, weights, deltas, positive

    def _enlarged(self, instances: InstanceData) -> InstanceData:
        """Return the boxes as tensors, enlarged by ``gt_offset``."""
        boxes = get_box_tensor(instances.bboxes)
        enlarged = instances.new()
        offset = boxes.new_tensor([0, 0, self.gt_offset, self.gt_offset])
        enlarged.bboxes = boxes + offset
        return enlarged
