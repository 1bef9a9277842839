"""What a detector computes, named and laid out as the original has it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.released.weights import (
    background_first,
    backgrounds_first,
)

#: Modules by the name of the original's output, and how that lies.
_OUTPUTS: dict[str, tuple[str, Callable | None]] = {
    'rpn_cls_score': ('detector.rpn_head.rpn_cls', backgrounds_first),
    'rpn_bbox_pred': ('detector.rpn_head.rpn_reg', None),
    'conv_new_1_relu': ('detector.roi_head.reduction', None),
    'offset': ('detector.roi_head.bbox_roi_extractor.offset', None),
    'deformable_roi_pool': ('detector.roi_head.bbox_roi_extractor', None),
    'cls_score': ('detector.roi_head.bbox_head.fc_cls', background_first),
    'bbox_pred': ('detector.roi_head.bbox_head.fc_reg', None),
    'mask_offset': ('detector.roi_head.mask_roi_extractor.offset', None),
    'mask_out': ('detector.roi_head.mask_head.conv_logits', None),
    'conv_new_out': ('focus_head.out', None),
}


@torch.no_grad()
def released_outputs(
    model: PyramidDetector, data: np.ndarray, rois: np.ndarray
) -> dict[str, np.ndarray]:
    """Run one of the released networks as the original is run.

    Args:
        model (PyramidDetector): Of a config of a released network.
        data (ndarray): (N, 3, H, W), RGB, the means subtracted.
        rois (ndarray): (R, 5), index of the image and x1, y1, x2, y2, input
            pixels, the last pixel included; they take the place of the
            proposals.

    Returns:
        dict[str, ndarray]: By the original's names: ``cat4``, C4 and C5, or
        ``last-1x1-conv-relu6``, MobileNetV2's last map; ``rpn_cls_score``,
        ``rpn_bbox_pred``; ``conv_new_1_relu``, what RoIs are pooled from;
        ``offset``, ``deformable_roi_pool``, ``cls_score``, ``bbox_pred``; of
        detectors that have them ``mask_offset``, ``mask_out`` and
        ``conv_new_out``, the FocusPixels' logits.
    """
    outputs, handles = {}, []
    modules = dict(model.named_modules())
    for name, (path, change) in _OUTPUTS.items():
        if path in modules:
            handles.append(_watch(modules[path], name, change, outputs))
    try:
        device = next(model.parameters()).device
        features = model.extract_feat(torch.from_numpy(data).to(device))
        detector = model.detector
        detector.rpn_head(features)
        boxes = torch.from_numpy(rois).to(device)
        roi_head = detector.roi_head
        maps = roi_head.reduced(features)
        boxes = boxes + boxes.new_tensor([0, 0, 0, 1, 1])
        roi_head._bbox_forward(maps, boxes)
        if roi_head.with_mask:
            roi_head._mask_forward(maps, boxes)
        if hasattr(model, 'focus_head'):
            model.focus_head(features)
    finally:
        for handle in handles:
            handle.remove()
    name = 'cat4' if len(features) > 1 else 'last-1x1-conv-relu6'
    outputs[name] = torch.cat(features, 1).cpu().numpy()
    return outputs


def _watch(
    module: nn.Module, name: str, change: Callable | None, outputs: dict
):
    def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        values = output.cpu().numpy()
        if change is not None:
            values = change(values.swapaxes(0, 1)).swapaxes(0, 1)
        outputs[name] = values

    return module.register_forward_hook(keep)
