"""The RPN of the released networks."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.structures.bbox import get_box_tensor, get_box_wh
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS
from sniper_mmdet.structures import in_released_range


@MODELS.register_module()
class ReleasedRPNHead(RPNHead):
    """An RPNHead on concatenated maps that proposes boxes of a chip's range.

    It differs from its parent in two ways. It concatenates several maps. And
    before NMS it drops the proposals of a chip that are not in the chip's
    valid range (``chip_range`` of :class:`CutChip`), so that the released
    networks' second stage (:class:`ReleasedRoIHead`) learns from proposals of
    the right sizes (SNIPER, section 3.3).

    The number of proposals before NMS is bounded after that: by ``max_nms``
    instead of ``nms_pre`` in the proposals' config.

    Args:
        *args: Arguments of RPNHead; ``in_channels`` is that of all maps
            together.
        in_indices (Sequence[int]): Indices of the maps, which have one stride.
            Defaults to (0, 1).
        **kwargs: Arguments of RPNHead.
    """

    def __init__(
        self, *args, in_indices: Sequence[int] = (0, 1), **kwargs
    ) -> None:
        super().__init__(*args, **kwargs)
        self.in_indices = tuple(in_indices)

    def forward(self, x: Sequence[Tensor]) -> tuple[list[Tensor], list]:
        maps = [x[index] for index in self.in_indices]
        return super().forward((torch.cat(maps, 1),))

    def _bbox_post_process(
        self, results, cfg, rescale=False, with_nms=True, img_meta=None
    ) -> InstanceData:
        if img_meta is not None and 'chip_range' in img_meta:
            boxes = get_box_tensor(results.bboxes)
            in_range = in_released_range(boxes, img_meta)
            # The second stage needs at least one proposal.
            if in_range.any():
                results = results[in_range]
        max_nms = cfg.get('max_nms', len(results))
        if max_nms < len(results):
            results = results[results.scores.topk(max_nms).indices]
        # This filter uses level pixels; the parent's comes after rescaling.
        w, h = get_box_wh(results.bboxes)
        least = cfg.get('min_bbox_size', -1)
        results = results[(w > least) & (h > least)]
        cfg.min_bbox_size = -1
        return super()._bbox_post_process(
            results, cfg, rescale, with_nms, img_meta
        )
