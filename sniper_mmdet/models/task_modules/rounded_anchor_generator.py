"""Anchors of the released networks."""

import torch
from mmdet.models.task_modules import AnchorGenerator
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS


@TASK_UTILS.register_module()
class RoundedAnchorGenerator(AnchorGenerator):
    """An AnchorGenerator with anchors of whole pixels about cells' centres.

    It differs from its parent: the sides of an anchor of scale 1 are rounded,
    to 23x12, 16x16 and 11x22 at a stride of 16, and larger anchors are
    multiples of these.
    """

    def __init__(self, *args, center_offset: float = 0.5, **kwargs) -> None:
        super().__init__(*args, center_offset=center_offset, **kwargs)

    def gen_single_level_base_anchors(
        self,
        base_size: float,
        scales: Tensor,
        ratios: Tensor,
        center: tuple[float, float] | None = None,
    ) -> Tensor:
        widths = ((base_size**2 / ratios).floor().sqrt() + 0.5).floor()
        heights = (widths * ratios + 0.5).floor()
        if center is None:
            center = [self.center_offset * base_size] * 2
        sides = torch.stack([widths, heights], 1)[:, None]
        sides = (sides * scales[:, None]).view(-1, 2)
        middle = sides.new_tensor(center)
        return torch.cat([middle - sides / 2, middle + sides / 2], 1)
