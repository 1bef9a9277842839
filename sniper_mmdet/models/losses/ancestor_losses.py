"""Losses with a sigmoid per class, which can train ancestors too."""

import torch
from mmdet.models.losses import CrossEntropyLoss, FocalLoss
from torch import Tensor

from sniper_mmdet.registry import MODELS
from sniper_mmdet.utils.hierarchy import read_hierarchy


class _TrainsAncestors:
    """A loss that also trains the ancestors of a box's class.

    Args:
        *args: Arguments of the parent.
        ancestors (dict, optional): ``hierarchy_file`` and ``label_file``, see
            :func:`~sniper_mmdet.utils.hierarchy.read_hierarchy`. Defaults to
            None: no ancestors.
        **kwargs: Arguments of the parent.
    """

    def __init__(self, *args, ancestors: dict | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        related = None
        if ancestors is not None:
            related = torch.from_numpy(read_hierarchy(**ancestors))
        # A buffer moves with the loss; checkpoints do not hold it.
        self.register_buffer('related', related, persistent=False)

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        **kwargs,
    ) -> Tensor:
        """Return the loss of logits (N, C).

        Args:
            pred (Tensor (N, C)): Logits.
            target (Tensor (N,)): Classes; C is background.
            weight (Tensor (N,), optional): Weight of each row.
            **kwargs: Arguments of the parent.
        """
        if self.related is not None and target.dim() == 1:
            count = len(self.related)
            targets = self.related[target.clamp(max=count - 1)]
            target = (targets & (target < count)[:, None]).long()
            if weight is not None and weight.dim() == 1:
                weight = weight[:, None].expand_as(pred)
        return super().forward(pred, target, weight, **kwargs)


@MODELS.register_module()
class AncestorFocalLoss(_TrainsAncestors, FocalLoss):
    """A FocalLoss that also trains the ancestors of a class.

    Args:
        ancestors (dict, optional): ``hierarchy_file`` and ``label_file``.
            Defaults to None: no ancestors.
        **kwargs: Arguments of FocalLoss.
    """


@MODELS.register_module()
class SigmoidRoILoss(_TrainsAncestors, CrossEntropyLoss):
    """Binary cross entropy of each class, for a box head.

    With ``CrossEntropyLoss(use_sigmoid=True)`` a box head has a logit for
    background and a softmax in testing. This loss has as many logits as
    classes: all of them are low for background, and scores are their sigmoids.

    Args:
        ancestors (dict, optional): ``hierarchy_file`` and ``label_file``, to
            train the ancestors of a class too. Defaults to None.
        **kwargs: Arguments of CrossEntropyLoss.
    """

    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True

    def __init__(self, *args, use_sigmoid: bool = True, **kwargs) -> None:
        if not use_sigmoid:
            raise ValueError(
                'SigmoidRoILoss has a sigmoid for each class. Received: '
                'use_sigmoid=False.'
            )
        super().__init__(*args, use_sigmoid=True, **kwargs)

    def get_cls_channels(self, num_classes: int) -> int:
        """Return the number of logits of a RoI."""
        return num_classes

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Return scores (N, C + 1) for logits (N, C); background is 0."""
        scores = cls_score.sigmoid()
        return torch.cat([scores, scores.new_zeros(len(scores), 1)], 1)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict:
        """Return the share of object RoIs whose best class is right, in %."""
        objects = labels < cls_score.shape[1]
        right = cls_score[objects].argmax(1) == labels[objects]
        share = right.float().mean() if len(right) else right.new_ones(())
        return dict(acc_classes=100 * share.float())
