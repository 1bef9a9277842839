"""Detectors with the weights of a checkpoint."""

import logging
import pickle
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from sniper_mmdet.registry import MODELS

from .checkpoint_files import CheckpointError

#: Said where a DINO does not fit.
_DINO = (
    ' The zoo has weights for the DINO of mmdet 3.3; that of '
    'onedl-mmdetection 3.5.1 has another ref_point_head.'
)
#: Modules that proposals do not come from, of a detector with an RPN.
_AFTER_RPN = ('focus_head.', 'roi_head.')


def unwrapped(model: nn.Module) -> nn.Module:
    """What is trained, without what distributes it."""
    return model.module if is_model_wrapper(model) else model


def modules_after_proposals(model: nn.Module) -> tuple[str, ...]:
    """Prefixes of weights that a detector's proposals do not depend on.

    Such weights may be another detector's, or random.
    """
    detector = getattr(model, 'detector', model)
    with_rpn = getattr(detector, 'with_rpn', False)
    return _AFTER_RPN if with_rpn else _AFTER_RPN[:1]


class MisfitError(CheckpointError):
    """A checkpoint is of another detector."""


def require_fit(
    model: nn.Module, weights: dict[str, Tensor], path: str | Path
) -> tuple[list[str], list[str]]:
    """Give a detector weights, all of which fit it in shape.

    mmengine leaves weights as they are that do not, which are random then.

    Returns:
        tuple: Names of weights that are missing, and that have no place.

    Raises:
        MisfitError: Some do not fit. All others are loaded.
    """
    try:
        missing, unused = model.load_state_dict(weights, strict=False)
    except (RuntimeError, pickle.UnpicklingError) as error:
        misfits = str(error).strip().splitlines()
        # torch's first line names the model.
        misfits = [' '.join(m.split()) for m in misfits[1:] or misfits]
        told = _DINO if 'ref_point_head' in str(error) else ''
        raise MisfitError(
            f'{path} is of another detector, as {len(misfits)} of its weights '
            f'do not fit: {" ".join(misfits[:3])}{told}'
        ) from None
    return missing, unused


def require_all(
    missing: Sequence[str], path: str | Path, without: Sequence[str] = ()
) -> None:
    """See that a checkpoint lacks none but weights of some prefixes.

    Raises:
        CheckpointError: It does.
    """
    needed = [key for key in missing if not key.startswith(tuple(without))]
    needed = [k for k in needed if not k.endswith('num_batches_tracked')]
    if needed:
        raise CheckpointError(
            f'{path} lacks {len(needed)} weights of the detector, the first '
            f'is {needed[0]}: it is of another one.'
        )


def weights_of(checkpoint: dict) -> dict[str, Tensor]:
    """The state dict of a checkpoint, of a distributed model too."""
    found = checkpoint.get('state_dict', checkpoint)
    return {k.removeprefix('module.'): v for k, v in found.items()}


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the state dict of a checkpoint.

    Raises:
        OSError: There is no such file.
        ValueError: It is no checkpoint, or may run code; see
            :mod:`~sniper_mmdet.engine.checkpoint_files`.
    """
    found = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    held = found.get('state_dict', found) if isinstance(found, dict) else found
    if not isinstance(held, dict):
        raise CheckpointError(
            f'{path} is not a checkpoint: it must hold a dict. Received: '
            f'{type(held).__name__}.'
        )
    return weights_of(found)


def trained_classes(checkpoint: dict) -> list[str]:
    """The classes that a checkpoint was trained on; empty if it has none."""
    meta = checkpoint.get('meta') or {}
    data = meta.get('dataset_meta') or {}
    # mmdet before 3.0 had capitals.
    names = data.get('classes') or data.get('CLASSES') or meta.get('CLASSES')
    return list(names or ())


def read_classes(path: str | Path) -> list[str]:
    """:func:`trained_classes` of a file that :func:`read_weights` reads."""
    found = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    return trained_classes(found)


def load_weights(
    model: nn.Module,
    path: str | Path,
    without: Sequence[str] = (),
    strict: bool = False,
) -> None:
    """Give a detector the weights of a checkpoint, all that it needs.

    Both may be wrapped or not. Weights whose prefix is in ``without`` are
    left as they are. Weights that the detector has no place for are logged,
    or, if ``strict``, an error.

    Raises:
        OSError: There is no such file.
        ValueError: It is no checkpoint, or one of another detector.
    """
    without = (*without, *(f'detector.{prefix}' for prefix in without))
    weights = read_weights(path).items()
    found = {k: v for k, v in weights if not k.startswith(without)}
    missing, unused = require_fit(model, found, path)
    require_all(missing, path, without)
    if unused:
        text = f'{path}: the detector has no place for {", ".join(unused)}'
        if strict:
            raise ValueError(f'{text}: it is of another one.')
        print_log(text, 'current', logging.WARNING)


def without_pretrained(part):
    """A copy of a config, or of a part of it, that loads no weights."""
    if isinstance(part, dict):
        kept = type(part)({k: without_pretrained(v) for k, v in part.items()})
        start = kept.get('init_cfg')
        if isinstance(start, dict) and start.get('type') == 'Pretrained':
            del kept['init_cfg']
        return kept
    if isinstance(part, (list, tuple)):
        return type(part)(map(without_pretrained, part))
    return part


def build_detector(cfg: Config, kind: type[nn.Module]) -> nn.Module:
    """Build the detector of a config, and download nothing for it.

    Raises:
        ValueError: It is not of the kind that it must be.
    """
    model = MODELS.build(without_pretrained(cfg.model))
    if not isinstance(model, kind):
        raise ValueError(
            f'{cfg.filename}: model.type must be sniper_mmdet.'
            f'{kind.__name__}. Received: {cfg.model.type}.'
        )
    return model


def load_detector(
    cfg: Config,
    path: str | Path,
    kind: type[nn.Module] = nn.Module,
    proposals_only: bool = False,
    strict: bool = False,
) -> nn.Module:
    """The detector of a config with the weights of a checkpoint, to test.

    It is on the default device, in test mode. ``proposals_only``: weights
    that its proposals do not need may be missing, or another detector's.
    ``strict``: see :func:`load_weights`.

    Raises:
        OSError: There is no such file.
        ValueError: The detector is another kind, or the file no checkpoint
            of it.
    """
    model = build_detector(cfg, kind)
    without = modules_after_proposals(model) if proposals_only else ()
    load_weights(model, path, without, strict)
    return model.to(get_device()).eval()
