"""Box coder of networks whose boxes end with their last pixel."""

from mmdet.models.task_modules import DeltaXYWHBBoxCoder
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS


@TASK_UTILS.register_module()
class LastPixelBoxCoder(DeltaXYWHBBoxCoder):
    """A DeltaXYWHBBoxCoder that decodes as SSH does.

    It differs from its parent in two ways. Boxes are clipped to the last
    pixel, 0 to (width - 1, height - 1), and the growth of sides has no bound
    unless one is given.
    """

    def decode(
        self,
        bboxes: Tensor,
        pred_bboxes: Tensor,
        max_shape: tuple[int, ...] | None = None,
        wh_ratio_clip: float = 1e-20,
    ) -> Tensor:
        """Decode boxes (N, 4); ``max_shape`` is (height, width)."""
        if max_shape is not None:
            max_shape = [side - 1 for side in max_shape[:2]]
        return super().decode(bboxes, pred_bboxes, max_shape, wh_ratio_clip)
