"""What a detector computes, as the original has it, and how near that is."""

import re
import zipfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.released import sniper

#: What a file calls an output: its name, and how many channels are there.
_OUTPUT = re.compile(r'(?:out\.)?(.+?)(?:_output)?(?:\.first_(\d+)_channels)?')


@torch.no_grad()
def released_outputs(
    model: PyramidDetector,
    data: np.ndarray,
    rois: np.ndarray,
    tables: ModuleType = sniper,
) -> dict[str, np.ndarray]:
    """Run one of the released networks as the original is run.

    Args:
        model (PyramidDetector): Of a config of a released network.
        data (ndarray): (N, 3, H, W), RGB, the means subtracted.
        rois (ndarray): (R, 5), index of the image and x1, y1, x2, y2, input
            pixels, the last pixel included; they take the place of the
            proposals.
        tables (ModuleType): ``OUTPUTS`` of the paper, see ``sniper``, and
            ``run_second_stage``, where its second stage is run otherwise,
            see ``rfcn3k``. Defaults to SNIPER's and AutoFocus's.

    Returns:
        dict[str, ndarray]: By the original's names. Those of SNIPER and
        AutoFocus: ``cat4``, C4 and C5, or ``last-1x1-conv-relu6``,
        MobileNetV2's last map; ``rpn_cls_score``, ``rpn_bbox_pred``;
        ``conv_new_1_relu``, what RoIs are pooled from; ``offset``,
        ``deformable_roi_pool``, ``cls_score``, ``bbox_pred``; of detectors
        that have them ``mask_offset``, ``mask_out`` and ``conv_new_out``, the
        FocusPixels' logits.
    """
    outputs = {}

    def keep(name, change, module: nn.Module, inputs, output: Tensor) -> None:
        values = output.cpu().numpy()
        if change is not None:
            values = change(values.swapaxes(0, 1)).swapaxes(0, 1)
        outputs[name] = values

    modules = dict(model.named_modules())
    with ExitStack() as hooks:
        for name, (path, change) in tables.OUTPUTS.items():
            if path in modules:
                hook = partial(keep, name, change)
                hooks.enter_context(modules[path].register_forward_hook(hook))
        device = next(model.parameters()).device
        features = model.extract_feat(torch.from_numpy(data).to(device))
        rpn_outputs = model.detector.rpn_head(features)
        boxes = torch.from_numpy(rois).to(device)
        boxes = boxes + boxes.new_tensor([0, 0, 0, 1, 1])
        run = getattr(tables, 'run_second_stage', _run_second_stage)
        for name, values in run(model, features, rpn_outputs, boxes).items():
            outputs[name] = values.cpu().numpy()
        if hasattr(model, 'focus_head'):
            model.focus_head(features)
    name = 'cat4' if len(features) > 1 else 'last-1x1-conv-relu6'
    outputs[name] = torch.cat(features, 1).cpu().numpy()
    return outputs


def _run_second_stage(model, features, rpn_outputs, rois: Tensor) -> dict:
    """Run the second stage of SNIPER's detectors: modules have all of it."""
    roi_head = model.detector.roi_head
    maps = roi_head.reduced(features)
    roi_head._bbox_forward(maps, rois)
    if roi_head.with_mask:
        roi_head._mask_forward(maps, rois)
    return {}


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest of all cells, relative to the number that is expected.

    Where the root mean square of all is larger, it is relative to that.
    """
    size = np.sqrt((expected.astype(np.float64) ** 2).mean())
    errors = np.abs(found - expected) / np.maximum(np.abs(expected), size)
    return float(errors.max())


def compare_outputs(
    model: PyramidDetector, path: str | Path, tables: ModuleType = sniper
) -> dict[str, float | str]:
    """Compare the outputs of a detector with those of the original.

    An .npz file has the latter as ``out.NAME_output``, or of large ones
    ``out.NAME_output.first_32_channels``, and ``data`` and ``rois``, as
    :func:`released_outputs` takes them.

    Returns:
        dict[str, float | str]: The relative error by name; text where the
        detector has no such output, or one of another shape.

    Raises:
        OSError: There is no such file.
        ValueError: It holds something else.
    """
    try:
        with np.load(path) as file:
            expected = dict(file)
    except (ValueError, TypeError, zipfile.BadZipFile):
        raise ValueError(f'{path} is no .npz of arrays.') from None
    if not {'data', 'rois'} <= set(expected):
        raise ValueError(
            f'{path} must hold data, rois and outputs. '
            f'Received: {sorted(expected)}.'
        )
    data, rois = expected.pop('data'), expected.pop('rois')
    found = released_outputs(model, data, rois, tables)
    errors = {}
    for key, values in expected.items():
        name, channels = _OUTPUT.fullmatch(key).groups()
        own = found.get(name)
        if own is not None and channels:
            own = own[:, : int(channels)]
        shape = 'nothing' if own is None else own.shape
        if shape == values.shape:
            errors[name] = relative_error(own, values)
        else:
            errors[name] = f'{values.shape} expected, found {shape}'
    return errors
