"""Samples the anchors that a detector is most wrong about."""

from mmdet.models.task_modules import AssignResult, RandomSampler
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS


@TASK_UTILS.register_module()
class HardAnchorSampler(RandomSampler):
    """A RandomSampler that takes the hardest (OHEM; SSH, section 3.4).

    Differs from its parent in which: of objects those of the lowest
    probabilities, of the background those of the highest. They are handed to
    ``sample`` as ``scores``, (N,), of the candidates.

    Args:
        num (int): Anchors. Defaults to 256.
        pos_fraction (float): Share of objects, at most. Defaults to 0.25.
        hard_positives (bool): Otherwise objects are drawn at random. Defaults
            to True.
        **kwargs: Of RandomSampler. Objects are never added to candidates.
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
    """Indices of the lowest values among some."""
    (indices,) = where.nonzero(as_tuple=True)
    num = min(num, len(indices))
    return indices[values[indices].topk(num, largest=False).indices]
