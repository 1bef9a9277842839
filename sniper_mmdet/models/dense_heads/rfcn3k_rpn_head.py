"""The RPN of R-FCN-3000."""

import numpy as np
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.models.task_modules.released_targets import keep_proposals
from sniper_mmdet.registry import MODELS

from .released_rpn_head import ReleasedRPNHead


@MODELS.register_module()
class RFCN3kRPNHead(ReleasedRPNHead):
    """A ReleasedRPNHead whose training is that of the original to the last.

    Differs from its parent: the loss of boxes is the sum over all images by
    the anchors that a full batch would sample; and where the proposals'
    config has ``released=True``, those of training are chosen by the
    original's operator, :func:`~.released_targets.keep_proposals`, whose IoU
    is no common one. That config's ``max_nms``, ``nms.iou_threshold``,
    ``max_per_img`` and ``min_bbox_size`` count there.
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
            return super()._bbox_post_process(
                results, cfg, rescale, with_nms, img_meta
            )
        # The operator counts the last pixel as a box's end.
        boxes = results.bboxes.detach().cpu().numpy() - np.float32(
            [0, 0, 1, 1]
        )
        kept = keep_proposals(
            boxes,
            results.scores.detach().cpu().numpy(),
            img_meta.get('chip_range', (0, float('inf'))),
            num_pre=cfg.max_nms,
            iou_threshold=cfg.nms.iou_threshold,
            num=cfg.max_per_img,
            min_side=cfg.min_bbox_size,
        )
        results = results[results.level_ids.new_tensor(kept)]
        results.labels = results.pop('level_ids') * 0
        return results
