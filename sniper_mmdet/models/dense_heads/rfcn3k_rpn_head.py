"""The RPN of R-FCN-3000."""

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.models.task_modules.released_targets import (
    LAST_PIXEL,
    keep_proposals,
)
from sniper_mmdet.registry import MODELS
from sniper_mmdet.structures import chip_range

from .released_rpn_head import ReleasedRPNHead


@MODELS.register_module()
class RFCN3kRPNHead(ReleasedRPNHead):
    """A ReleasedRPNHead that trains exactly as the original R-FCN-3000.

    It differs from its parent in two ways. The loss of boxes is the sum over
    all images, divided by the number of anchors that a full batch would
    sample. And with ``released=True`` in the proposals' config, the original's
    operator, :func:`~.released_targets.keep_proposals`, whose IoU is unusual,
    chooses the proposals of training. It uses ``max_nms``,
    ``nms.iou_threshold``, ``max_per_img`` and ``min_bbox_size`` of that
    config.

    With ``random_fill=True`` an image with fewer proposals than
    ``max_per_img`` gets random ones of 102 to 400 px, which the second stage
    scores like all others. The original tests in this way. That is a fault: no
    two tests of an image are alike.
    """

    def loss_by_feat_single(
        self, cls_score: Tensor, *args, avg_factor: float
    ) -> tuple[Tensor, Tensor]:
        loss_cls, loss_bbox = super().loss_by_feat_single(
            cls_score, *args, avg_factor=avg_factor
        )
        full = len(cls_score) * self.train_cfg.sampler.num
        return loss_cls, loss_bbox * (avg_factor / full)

    def _bbox_post_process(
        self, results, cfg, rescale=False, with_nms=True, img_meta=None
    ) -> InstanceData:
        if not cfg.get('released', False):
            results = super()._bbox_post_process(
                results, cfg, rescale, with_nms, img_meta
            )
            if cfg.get('random_fill', False) and not rescale:
                results = _filled(results, cfg.max_per_img)
            return results
        # To the operator a box ends with its last pixel, which counts.
        boxes = results.bboxes.detach().cpu().numpy() - LAST_PIXEL
        kept = keep_proposals(
            boxes,
            results.scores.detach().cpu().numpy(),
            chip_range(img_meta),
            num_pre=cfg.max_nms,
            iou_threshold=cfg.nms.iou_threshold,
            num=cfg.max_per_img,
            min_side=cfg.min_bbox_size,
        )
        results = results[results.level_ids.new_tensor(kept)]
        results.labels = results.pop('level_ids') * 0
        return results


def _filled(results: InstanceData, num: int) -> InstanceData:
    """Fill up to ``num`` proposals with random ones of score 0."""
    missing = num - len(results)
    if missing <= 0:
        return results
    starts = torch.randint(0, 100, (missing, 2))
    ends = torch.randint(200, 400, (missing, 2)) + 1
    boxes = torch.cat([starts, ends], 1).to(results.bboxes)
    scores = results.scores.new_zeros(missing)
    filling = InstanceData(
        bboxes=boxes,
        scores=scores,
        labels=scores.new_zeros(missing, dtype=torch.long),
    )
    return InstanceData.cat([results, filling])
