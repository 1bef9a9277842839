"""Class-agnostic proposals of any mmdet detector."""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from mmcv.ops import nms
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

# With this score, one-stage detectors give as many boxes as an RPN.
_LOW_SCORE = 0.001
# Candidates of a feature map per proposal. mmdet's own configs have one.
_CANDIDATES = 2
_RPN_FIELDS = 'backbone neck rpn_head train_cfg test_cfg'.split()
_RPN_FIELDS += ['data_preprocessor', 'init_cfg']


def rpn_config(detector: dict) -> dict:
    """Extract the config of a two-stage detector's RPN.

    Raises:
        ValueError: The detector has no RPN.
    """
    if detector.get('rpn_head') is None:
        raise ValueError(
            'rpn_only needs a detector with an rpn_head. '
            f'Received: {detector.get("type")}.'
        )
    return dict({k: detector.get(k) for k in _RPN_FIELDS}, type='RPN')


def propose(
    detector: nn.Module, inputs: Tensor, samples: SampleList, num: int
) -> list[InstanceData]:
    """Return the best ``num`` boxes of preprocessed images, of any class.

    They come from the detector's RPN. A detector without an RPN gives its
    detections, also those of low scores.

    Returns:
        list[:obj:`InstanceData`]: ``bboxes`` and ``scores`` by falling score,
        pixels before the scale factor.
    """
    with _lenient(detector, num):
        found = []
        if getattr(detector, 'with_rpn', False):
            found = detector.rpn_head.predict(
                detector.extract_feat(inputs), samples, rescale=True
            )
        # Some RPNs learn their proposals, which then have no scores.
        if not found or 'scores' not in found[0]:
            found = detector.predict(inputs, samples, rescale=True)
            found = [sample.pred_instances for sample in found]
    return [
        best_proposals(
            InstanceData(bboxes=boxes.bboxes, scores=boxes.scores), num
        )
        for boxes in found
    ]


def best_proposals(boxes: InstanceData, num: int) -> InstanceData:
    """Keep the ``num`` highest scores, by falling score."""
    return boxes[boxes.scores.argsort(descending=True)[:num]]


def merge_proposals(
    levels: Sequence[InstanceData], iou_threshold: float
) -> InstanceData:
    """Merge the proposals of all levels of an image by NMS."""
    boxes = InstanceData.cat(levels)
    _, keep = nms(boxes.bboxes, boxes.scores, iou_threshold)
    boxes = boxes[keep]
    boxes.labels = torch.zeros_like(keep)
    return boxes


def few_proposals(detector: nn.Module, num: float) -> AbstractContextManager:
    """A context in which an RPN keeps ``num`` proposals; inf: its number.

    NMS chooses them from at most twice as many boxes of each feature map: it
    costs the square of their number.
    """
    changes = {}
    if not math.isinf(num):
        # Cascade RPN has the last word in its last stage.
        for head in detector.rpn_head.modules():
            own = getattr(head, 'test_cfg', None)
            if isinstance(own, dict) and num < own.get('max_per_img', -1):
                changes[head] = dict(max_per_img=num)
                if own.get('nms_pre', -1) > _CANDIDATES * num:
                    changes[head]['nms_pre'] = _CANDIDATES * num
    return _changed_tests(changes)


def _lenient(detector: nn.Module, num: int) -> AbstractContextManager:
    """A context in which heads give many boxes, also of low scores."""
    changes = {}
    for module in detector.modules():
        cfg = getattr(module, 'test_cfg', None)
        if isinstance(cfg, dict) and 'nms' in cfg:
            changes[module] = dict(max_per_img=num)
            if cfg.get('nms_pre', -1) > 0:
                changes[module]['nms_pre'] = max(cfg.nms_pre, num)
            if 'score_thr' in cfg:
                changes[module]['score_thr'] = min(cfg.score_thr, _LOW_SCORE)
    return _changed_tests(changes)


@contextmanager
def _changed_tests(changes: dict[nn.Module, dict]) -> Iterator[None]:
    before = {module: module.test_cfg for module in changes}
    try:
        for module, change in changes.items():
            module.test_cfg = copy.deepcopy(module.test_cfg)
            module.test_cfg.update(change)
        yield
    finally:
        for module, cfg in before.items():
            module.test_cfg = cfg
