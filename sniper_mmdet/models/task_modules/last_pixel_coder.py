"""Boxes of networks that count a box's last pixel in."""

from mmdet.models.task_modules import DeltaXYWHBBoxCoder
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS


@TASK_UTILS.register_module()
class LastPixelBoxCoder(DeltaXYWHBBoxCoder):
    """A DeltaXYWHBBoxCoder that decodes as SSH does.

    Differs from its parent: boxes are clipped to the last pixel, 0 to
    (width - 1, height - 1), and how far sides may grow is not bounded unless
    told so.
    """

    def decode(
        self,
        bboxes: Tensor,
        pred_bboxes: Tensor,
        max_shape: tuple[int, ...] | None = None,
        wh_ratio_clip: float = 1e-20,
    ) -> Tensor:
        """Boxes (N, 4); ``max_shape`` is (height, width) of the image."""
        if max_shape is not None:
            max_shape = [side - 1 for side in max_shape[:2]]
        return super().decode(bboxes, pred_bboxes, max_shape, wh_ratio_clip)
