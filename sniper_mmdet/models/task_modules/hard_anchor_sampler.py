"""Sampling of the anchors with the largest errors."""

from mmdet.models.task_modules import AssignResult, RandomSampler
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS


@TASK_UTILS.register_module()
class HardAnchorSampler(RandomSampler):
    """A RandomSampler that takes the hardest anchors (OHEM; SSH, section 3.4).

    It samples the objects with the lowest probabilities of an object and the
    background with the highest ones, where its parent samples at random.
    ``sample`` gets the probabilities of the candidates as ``scores``, (N,).

    Args:
        num (int): Number of anchors. Defaults to 256.
        pos_fraction (float): Upper bound of the share of objects. Defaults to
            0.25.
        hard_positives (bool): Take the hardest objects, instead of random
            ones. Defaults to True.
        **kwargs: Arguments of RandomSampler. Objects are never added to the
            candidates.
    """

    def __init__(
        self,
        num: int = 256,
        pos_fraction: float = 0.25,
        hard_positives: bool = True,
        **kwargs,
    ) -> None:
        kwargs['add_gt_as_proposals'] = False
        super().__init__(num, pos_fraction, **kwargs)
        self.hard_positives = hard_positives

    def _sample_pos(
        self,
        assign_result: AssignResult,
        num_expected: int,
        scores: Tensor,
        **kwargs,
    ) -> Tensor:
        if not self.hard_positives:
            return super()._sample_pos(assign_result, num_expected, **kwargs)
        return _lowest(scores, assign_result.gt_inds > 0, num_expected)

    def _sample_neg(
        self,
        assign_result: AssignResult,
        num_expected: int,
        scores: Tensor,
        **kwargs,
    ) -> Tensor:
        return _lowest(-scores, assign_result.gt_inds == 0, num_expected)


def _lowest(values: Tensor, where: Tensor, num: int) -> Tensor:
    """Return the indices of the lowest values among some places."""
    (indices,) = where.nonzero(as_tuple=True)
    num = min(num, len(indices))
    return indices[values[indices].topk(num, largest=False).indices]
