"""Outputs of a detector in the original's form, and their comparison."""

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
from sniper_mmdet.released import ssh
from sniper_mmdet.released.tables import tables_of_model

#: Pattern of an output's name in a file, with its number of channels.
_OUTPUT = re.compile(r'out\.(.+?)(?:_output)?(?:\.first_(\d+)_channels)?')


@torch.no_grad()
def released_outputs(
    model: PyramidDetector,
    data: np.ndarray,
    rois: np.ndarray | None = None,
    tables: ModuleType | None = None,
) -> dict[str, np.ndarray]:
    """Run a released network in the way of the original.

    Args:
        model (PyramidDetector): Detector of a released network's config.
        data (ndarray): (N, 3, H, W), RGB, or BGR for SSH, minus the means.
        rois (ndarray, optional): (R, 5), index of the image and x1, y1, x2,
            y2, input pixels, the last pixel included; they replace the
            proposals. Defaults to None: SSH has no RoIs.
        tables (ModuleType, optional): Tables of the paper with ``OUTPUTS``,
            see ``sniper``, and ``run_second_stage`` if its second stage
            differs, see ``rfcn3k``. Defaults to None: the tables of the
            network.

    Returns:
        dict[str, ndarray]: Outputs by the original's names. SSH and R-FCN-3000
        have those of their ``OUTPUTS``. The other networks have ``cat4``, C4
        and C5, or ``last-1x1-conv-relu6``, MobileNetV2's last map;
        ``rpn_cls_score``, ``rpn_bbox_pred``; ``conv_new_1_relu``, the map from
        which RoIs are pooled; ``offset``, ``deformable_roi_pool``,
        ``cls_score``, ``bbox_pred``; and, if the detector has them,
        ``mask_offset``, ``mask_out`` and ``conv_new_out``, the FocusPixels'
        logits.
    """
    outputs = {}
    tables = tables or tables_of_model(model)

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
        if tables is ssh:
            model.detector.bbox_head(features)
            return outputs
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
    """Run the second stage of SNIPER's detectors; hooks see the outputs."""
    roi_head = model.detector.roi_head
    maps = roi_head.reduced(features)
    roi_head._bbox_forward(maps, rois)
    if roi_head.with_mask:
        roi_head._mask_forward(maps, rois)
    return {}


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error of all cells, relative to the expected number.

    The error is relative to the root mean square of all cells if that is
    larger.

    Examples:
        >>> import numpy as np
        >>> error = relative_error(np.array([1.0, 2.02]), np.array([1.0, 2.0]))
        >>> f'{error:.3f}'
        '0.010'
    """
    size = np.sqrt((expected.astype(np.float64) ** 2).mean())
    errors = np.abs(found - expected) / np.maximum(np.abs(expected), size)
    return float(errors.max())


def compare_outputs(
    model: PyramidDetector,
    path: str | Path,
    tables: ModuleType | None = None,
    case: str | None = None,
) -> dict[str, float | str]:
    """Compare the outputs of a detector with those of the original.

    An .npz file has the outputs as ``out.NAME_output`` or ``out.NAME``, large
    ones as ``out.NAME_output.first_32_channels``. It has the inputs as
    ``data`` and, except for SSH, ``rois``, see :func:`released_outputs`. In a
    file of several cases each key begins with the case's name and a dot.

    Returns:
        dict[str, float | str]: The relative error by name, or a text if the
        detector has no such output or one of another shape.

    Raises:
        OSError: There is no such file.
        ValueError: The file has another content.
    """
    try:
        with np.load(path) as file:
            expected = dict(file)
    except (ValueError, TypeError, zipfile.BadZipFile):
        raise ValueError(f'{path} is no .npz of arrays.') from None
    start = f'{case}.' if case else ''
    tables = tables or tables_of_model(model)
    needed = ['data'] if tables is ssh else ['data', 'rois']
    outputs = {
        key.removeprefix(start): values
        for key, values in expected.items()
        if key.startswith(f'{start}out.')
    }
    if not outputs or not {start + name for name in needed} <= set(expected):
        of_case = f' of the case {case}' if case else ''
        raise ValueError(
            f'{path} must hold {", ".join(needed)} and outputs{of_case}. '
            f'Received: {sorted(expected)}.'
        )
    inputs = [expected[start + name] for name in needed]
    found = released_outputs(model, *inputs, tables=tables)
    errors = {}
    for key, values in outputs.items():
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
