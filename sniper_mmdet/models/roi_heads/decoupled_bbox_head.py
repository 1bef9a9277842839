"""Box heads that separate objectness from classification (R-FCN-3000)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmcv.ops import batched_nms
from mmdet.models.roi_heads.bbox_heads import BBoxHead, ConvFCBBoxHead
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sniper_mmdet.registry import MODELS
from sniper_mmdet.structures import renumbered
from sniper_mmdet.utils.errors import UserError

from .super_classes import read_super_classes

#: Number of RoIs whose pairs with all classes are in memory at once.
_BLOCK = 256
#: Number of pairs from which on soft-NMS, which compares all with all, runs
#: class by class.
_SPLIT = 1000


class ObjectnessLinear(nn.Linear):
    """A Linear layer that appends its inputs and a 1 to its outputs.

    RoI heads of mmdet pass on one tensor of class scores per RoI. The features
    for the class, which only few RoIs need, travel in this tensor. A cascade
    averages it over its stages; the last column then holds the share of the
    stage that has classes.

    Args:
        in_features (int): Number of input features, D.
        out_features (int): Number of outputs, K.
        fine (bool): Whether this stage has classes; else it appends zeros
            instead of its inputs and the 1. Defaults to True.
    """

    def __init__(
        self, in_features: int, out_features: int, fine: bool = True
    ) -> None:
        super().__init__(in_features, out_features)
        self.fine = fine

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs, inputs and the share, (R, K + D + 1)."""
        logits = super().forward(x)
        rest = torch.cat([x, x.new_ones(len(x), 1)], 1)
        return torch.cat(
            [logits, rest if self.fine else torch.zeros_like(rest)], 1
        )


class _Decoupled:
    """The part that :class:`DecoupledBBoxHead` adds to a box head.

    It is a parent before mmdet's BBoxHead.
    """

    def __init__(
        self,
        *args,
        super_classes: Sequence[int] | str | Path | None = None,
        fine: bool = True,
        hidden_classes: int = 0,
        class_agnostic: bool = False,
        fine_share: float | None = 2 / 3,
        loss_fine: dict | None = None,
        reg_class_agnostic: bool = True,
        **kwargs,
    ) -> None:
        if not reg_class_agnostic:
            raise UserError(
                'a DecoupledBBoxHead predicts class-agnostic boxes: '
                'reg_class_agnostic must be True. Received: False.'
            )
        super().__init__(*args, reg_class_agnostic=True, **kwargs)
        count = self.num_classes + hidden_classes
        groups = read_super_classes(super_classes, count)
        self.num_super = max(groups) + 1
        self.hidden_classes = hidden_classes
        self.class_agnostic = class_agnostic
        self.fine_share = fine_share
        channels = self.fc_cls.in_features
        self.fc_cls = ObjectnessLinear(channels, self.num_super + 1, fine)
        self.register_buffer(
            'super_of', torch.tensor(groups), persistent=False
        )
        if not fine:
            return
        self.loss_fine = MODELS.build(
            loss_fine or dict(type='CrossEntropyLoss')
        )
        self.fc_fine = nn.Linear(channels, count)
        if isinstance(self.init_cfg, list):  # mmdet's own, for fc_cls
            name = dict(name='fc_fine')
            self.init_cfg.append(dict(type='Normal', std=0.01, override=name))
        self.register_buffer('fine_means', torch.zeros(count, channels))
        self.register_buffer('fine_counts', torch.zeros(count))
        self.register_buffer('fine_variance', torch.ones(channels))

    @property
    def with_fine(self) -> bool:
        """Whether the head has classes, as a cascade's last stage has."""
        return self.fc_cls.fine

    def split(self, cls_score: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of super-classes (R, K + 1), and features (R, D)."""
        count = self.num_super + 1
        logits, features = cls_score[:, :count], cls_score[:, count:-1]
        return logits, features / cls_score[:, -1:]

    def fine_scores(self, features: Tensor) -> Tensor:
        """Return P(class | object) of RoIs, (R, num_classes)."""
        logits = self.fc_fine(features)
        if getattr(self.loss_fine, 'use_sigmoid', False):
            found = logits.sigmoid()
        else:
            found = logits.softmax(1)
        return found[:, : self.num_classes]

    def pair_scores(self, prob: Tensor, features: Tensor) -> Tensor:
        """Return P(super-class) x P(class | object), (R, num_classes).

        Args:
            prob (Tensor): (R, K + 1), background last.
            features (Tensor): (R, D).
        """
        # A class without a super-class, -1, gets P(object).
        groups = torch.cat([prob[:, :-1], 1 - prob[:, -1:]], 1)
        of = self.super_of[: self.num_classes]
        return groups[:, of] * self.fine_scores(features)

    def loss(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        rois: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        *targets,
        reduction_override: str | None = None,
    ) -> dict:
        """Return the losses of objectness, of boxes and of positives' classes.

        As released, the loss of classes is a sum over positives, divided by
        two thirds of the number of all RoIs (200 of 300), whatever share is
        positive.
        """
        positive = (labels >= 0) & (labels < self.num_classes)
        logits = cls_score[:, : self.num_super + 1]
        groups = torch.full_like(labels, self.num_super)
        groups[positive] = self.super_of[labels[positive]]
        weights = label_weights * (groups >= 0)  # a class without super-class
        how = dict(reduction_override=reduction_override)
        losses = super().loss(
            logits, None, rois, groups.clamp(min=0), weights, *targets, **how
        )
        losses |= super().loss(
            None, bbox_pred, rois, labels, label_weights, *targets, **how
        )
        if self.with_fine:
            _, features = self.split(cls_score[positive])
            average = None
            if self.fine_share is not None:
                average = self.fine_share * len(labels)
            losses['loss_fine'] = self.fine_loss(
                features, labels[positive], average
            )
        return losses

    def fine_loss(
        self, features: Tensor, labels: Tensor, average: float | None = None
    ) -> Tensor:
        """Return the loss of the classes of RoIs, without other losses.

        Args:
            features (Tensor): (R, D).
            labels (Tensor): (R,), classes.
            average (float, optional): Divisor of the sum. Defaults to None:
                the number of RoIs.
        """
        logits = self.fc_fine(features)
        if not len(labels):
            return logits.sum()
        self._remember(features.detach().float(), labels)
        average = len(labels) if average is None else average
        return self.loss_fine(logits, labels, avg_factor=max(average, 1))

    @torch.no_grad()
    def _remember(self, features: Tensor, labels: Tensor) -> None:
        """Update the classes' mean features, and the variance about them.

        About the last 50 batches with a class count for that class.
        """
        found, which, counts = labels.unique(
            return_inverse=True, return_counts=True
        )
        sums = features.new_zeros(len(found), features.shape[1])
        sums.index_add_(0, which, features)
        known = self.fine_counts[labels] > 0
        if known.any():
            away = (features - self.fine_means[labels])[known].square().mean(0)
            self.fine_variance.lerp_(away, 0.02)
        self.fine_counts[found] += 1
        rate = (1 / self.fine_counts[found]).clamp(min=0.02)[:, None]
        means = self.fine_means[found]
        self.fine_means[found] = means.lerp(sums / counts[:, None], rate)

    def refine_bboxes(
        self, sampling_results, bbox_results: dict, batch_img_metas
    ):
        # The likeliest class does not matter: boxes are class-agnostic.
        scores = bbox_results['cls_score'][:, :1]
        scores = scores.expand(-1, self.num_classes)
        bbox_results = dict(bbox_results, cls_score=scores)
        return super().refine_bboxes(
            sampling_results, bbox_results, batch_img_metas
        )

    def _predict_by_feat_single(
        self,
        roi: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        img_meta: dict,
        rescale: bool = False,
        rcnn_test_cfg: dict | None = None,
    ) -> InstanceData:
        prob = cls_score[:, : self.num_super + 1].softmax(1)
        cfg, objectness = rcnn_test_cfg, 1 - prob[:, -1]
        if cfg is not None:
            # The score of a pair is at most P(object) of its RoI.
            least = max(cfg['score_thr'], cfg.get('min_objectness', 0))
            kept = objectness > least
            roi, cls_score, bbox_pred = (
                roi[kept],
                cls_score[kept],
                bbox_pred[kept],
            )
            prob, objectness = prob[kept], objectness[kept]
        args = roi, prob, bbox_pred, img_meta, rescale
        # Without test settings the parent only decodes boxes.
        results = super()._predict_by_feat_single(
            *args, cfg if not len(roi) else None
        )
        if not len(roi):
            return results
        _, features = self.split(cls_score)
        if cfg is None:
            scores = objectness[:, None]
            if not self.class_agnostic:
                scores = self.pair_scores(prob, features)
            results.scores = torch.cat([scores, prob[:, -1:]], 1)
            return results
        if self.class_agnostic:
            row = torch.arange(len(roi), device=roi.device)
            pairs = row, torch.zeros_like(row), objectness
        else:
            pairs = self._pairs(prob, features, cfg['score_thr'])
        return _best_pairs(results.bboxes, *pairs, cfg)

    def _pairs(
        self, prob: Tensor, features: Tensor, score_thr: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return RoIs, classes and scores (P,) of pairs above a score."""
        found = []
        for start in range(0, len(prob), _BLOCK):
            block = slice(start, start + _BLOCK)
            scores = self.pair_scores(prob[block], features[block])
            row, label = (scores > score_thr).nonzero(as_tuple=True)
            found.append((row + start, label, scores[row, label]))
        return tuple(map(torch.cat, zip(*found, strict=True)))


def _best_pairs(
    boxes: Tensor, row: Tensor, label: Tensor, scores: Tensor, cfg: dict
) -> InstanceData:
    """Run NMS on pairs; classes without a pair take no time."""
    nms = dict(cfg['nms'])
    if nms.get('type') == 'soft_nms':
        nms.setdefault('split_thr', _SPLIT)
    best = cfg.get('nms_pre', -1)
    if 0 < best < len(scores):
        scores, kept = scores.topk(best)
        row, label = row[kept], label[kept]
    results = InstanceData(bboxes=boxes[row], scores=scores, labels=label)
    if len(row):
        found, kept = batched_nms(boxes[row], scores, renumbered(label), nms)
        results = InstanceData(
            bboxes=found[:, :4], scores=found[:, 4], labels=label[kept]
        )
    most = cfg.get('max_per_img', -1)
    return results[:most] if most > 0 else results


@MODELS.register_module()
class DecoupledBBoxHead(_Decoupled, ConvFCBBoxHead):
    """A box head for thousands of classes, which share the box weights.

    The score of a class is P(object) x P(class | object), or with
    super-classes P(super-class) x P(class | object). P(class | object) is a
    softmax over all classes (R-FCN-3000, section 3). Boxes are class-agnostic.

    It differs from its parent by two layers: ``fc_cls`` classifies
    super-classes and background, ``fc_fine`` classifies the classes. In
    training only positive RoIs reach ``fc_fine``. In testing these are the
    RoIs whose P(object) is above ``score_thr`` of ``test_cfg``, and above its
    ``min_objectness`` if there is one (released: 0.01). ``nms_pre`` of
    ``test_cfg`` bounds the number of pairs of a RoI and a class that reach
    NMS. The losses are ``loss_cls``, ``loss_bbox`` and ``loss_fine``.

    The head also tracks the mean features of the classes, ``fine_means``,
    which ``tools/misc/cluster_classes.py`` and ``tools/teach.py`` use.

    Args:
        *args: Arguments of ConvFCBBoxHead.
        num_shared_fcs (int): As in Shared2FCBBoxHead, which this head can
            replace. Defaults to 2.
        super_classes (Sequence[int] | str, optional): The super-class of each
            class, hidden ones included, counted from 0; -1 is a class of any
            super-class. Or a json file of ``cluster_classes.py``. Defaults to
            None: one super-class.
        fine (bool): Whether the head has classes. In a cascade only the last
            stage must have them. Defaults to True.
        hidden_classes (int): Number of classes after the others that take part
            in the softmax and are not detected. Defaults to 0.
        class_agnostic (bool): Whether to detect objects of any class, with
            label 0 and P(object) as their score. Defaults to False.
        fine_share (float, optional): The loss of classes is a sum over
            positives, divided by this share of all RoIs. Defaults to 2/3, as
            released. None: it is their mean.
        loss_fine (dict, optional): Config of the loss of classes. With
            ``use_sigmoid`` classes do not compete. Defaults to a
            CrossEntropyLoss.
        reg_class_agnostic (bool): Must be True.
        **kwargs: Arguments of ConvFCBBoxHead.
    """

    def __init__(self, *args, num_shared_fcs: int = 2, **kwargs) -> None:
        super().__init__(*args, num_shared_fcs=num_shared_fcs, **kwargs)


@MODELS.register_module()
class DecoupledPooledBBoxHead(_Decoupled, BBoxHead):
    """A :class:`DecoupledBBoxHead` that replaces a plain BBoxHead.

    A C4 detector has such a head: its layers are in the shared head.
    """
