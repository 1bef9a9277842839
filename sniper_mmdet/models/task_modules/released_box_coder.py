"""The box coder of R-FCN-3000."""

from collections.abc import Sequence

import torch
from mmdet.models.task_modules import DeltaXYWHBBoxCoder
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS


@TASK_UTILS.register_module()
class ReleasedBoxCoder(DeltaXYWHBBoxCoder):
    """A DeltaXYWHBBoxCoder that decodes as the original operators do.

    It differs from its parent in two ways. Sides may grow without a limit, and
    a box outside the image keeps one pixel at its border instead of none.
    """

    def decode(
        self,
        bboxes: Tensor,
        pred_bboxes: Tensor,
        max_shape: Sequence[int] | None = None,
        **kwargs,
    ) -> Tensor:
        """Decode boxes and deltas (N, 4) to half-open boxes (N, 4).

        They are clipped to ``max_shape``, (height, width), if it is given.
        """
        deltas = pred_bboxes * pred_bboxes.new_tensor(self.stds)
        deltas = deltas + deltas.new_tensor(self.means)
        sides = bboxes[:, 2:] - bboxes[:, :2]
        centres = bboxes[:, :2] + 0.5 * (sides - 1)
        centres = deltas[:, :2] * sides + centres
        reach = 0.5 * (deltas[:, 2:].exp() * sides - 1)
        starts, ends = centres - reach, centres + reach
        if max_shape is not None:
            last = starts.new_tensor(max_shape[1::-1]) - 1
            starts, ends = (
                corner.clamp(min=0).minimum(last) for corner in (starts, ends)
            )
        return torch.cat([starts, ends + 1], 1)
