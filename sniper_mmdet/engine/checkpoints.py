"""Builds detectors and loads the weights of checkpoints."""

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

#: Notes in the error if some weights do not fit, by a part of their name.
_NOTES = {
    'ref_point_head': (
        ' The zoo has weights for the DINO of mmdet 3.3; that of '
        'onedl-mmdetection 3.5.1 has another ref_point_head.'
    ),
    'fc_fine': (
        ' A detector that was taught classes has a config of its own, beside '
        'its checkpoint.'
    ),
}
#: Prefix of the weights that a detector without AutoFocus lacks.
FOCUS_HEAD = 'focus_head.'
#: Modules of a detector with an RPN that its proposals do not need.
_AFTER_RPN = (FOCUS_HEAD, 'roi_head.')


def unwrapped(model: nn.Module) -> nn.Module:
    """The trained model, without the wrapper that distributes it."""
    return model.module if is_model_wrapper(model) else model


def modules_after_proposals(model: nn.Module) -> tuple[str, ...]:
    """Prefixes of the weights that a detector's proposals do not need.

    These weights may be random, or those of another detector.
    """
    detector = getattr(model, 'detector', model)
    with_rpn = getattr(detector, 'with_rpn', False)
    return _AFTER_RPN if with_rpn else _AFTER_RPN[:1]


class MisfitError(CheckpointError):
    """A checkpoint belongs to another detector."""


def require_fit(
    model: nn.Module, weights: dict[str, Tensor], path: str | Path
) -> tuple[list[str], list[str]]:
    """Load weights into a detector, and check that all shapes fit.

    mmengine skips weights that do not fit, and so leaves them random.

    Returns:
        tuple: Names of weights that are missing, and of weights that the
        detector does not have.

    Raises:
        MisfitError: Some weights do not fit. All others are loaded.
    """
    try:
        missing, unused = model.load_state_dict(weights, strict=False)
    except (RuntimeError, pickle.UnpicklingError) as error:
        misfits = str(error).strip().splitlines()
        # torch's first line names the model.
        misfits = [' '.join(m.split()) for m in misfits[1:] or misfits]
        text = str(error)
        told = ''.join(note for name, note in _NOTES.items() if name in text)
        raise MisfitError(
            f'{path} is of another detector: {len(misfits)} of its weights do '
            f'not fit: {" ".join(misfits[:3])}{told}'
        ) from None
    return missing, unused


def require_all(
    missing: Sequence[str], path: str | Path, without: Sequence[str] = ()
) -> None:
    """Check that a checkpoint lacks no weights, except for some prefixes.

    Raises:
        CheckpointError: Other weights are missing.
    """
    needed = [key for key in missing if not key.startswith(tuple(without))]
    needed = [k for k in needed if not k.endswith('num_batches_tracked')]
    if needed and all(key.startswith(FOCUS_HEAD) for key in needed):
        raise CheckpointError(
            f'{path} has no focus head: tools/misc/add_focus.py adds one to a '
            'trained detector.'
        )
    if needed:
        raise CheckpointError(
            f'{path} lacks {len(needed)} weights of the detector, the first '
            f'is {needed[0]}: it is of another detector.'
        )


def weights_of(checkpoint: dict) -> dict[str, Tensor]:
    """The state dict of a checkpoint, also of a distributed model."""
    found = checkpoint.get('state_dict', checkpoint)
    return {k.removeprefix('module.'): v for k, v in found.items()}


def read_checkpoint(path: str | Path) -> dict:
    """Read a checkpoint, which holds a state dict, or is one.

    Raises:
        OSError: There is no such file.
        ValueError: The file is not a checkpoint, or may run code; see
            :mod:`~sniper_mmdet.engine.checkpoint_files`.
    """
    found = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    held = found.get('state_dict', found) if isinstance(found, dict) else found
    if not isinstance(held, dict):
        raise CheckpointError(
            f'{path} is not a checkpoint: it must hold a dict. Received: '
            f'{type(held).__name__}.'
        )
    return found


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the state dict of a checkpoint, see :func:`read_checkpoint`."""
    return weights_of(read_checkpoint(path))


def trained_classes(checkpoint: dict) -> list[str]:
    """The training classes of a checkpoint; empty if it does not name any."""
    meta = checkpoint.get('meta') or {}
    data = meta.get('dataset_meta') or {}
    # mmdet before 3.0 wrote them in capitals.
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
) -> dict:
    """Read a checkpoint, load it by :func:`load_checkpoint`, and return it.

    Raises:
        OSError: There is no such file.
        ValueError: The file is not a checkpoint, or belongs to another
            detector.
    """
    checkpoint = read_checkpoint(path)
    load_checkpoint(model, checkpoint, path, without, strict)
    return checkpoint


def load_checkpoint(
    model: nn.Module,
    checkpoint: dict,
    path: str | Path,
    without: Sequence[str] = (),
    strict: bool = False,
) -> None:
    """Load all weights that a detector needs from a checkpoint that was read.

    Both may be wrapped or not. Weights with a prefix in ``without`` are not
    loaded. Weights that the detector does not have are logged, or raise an
    error if ``strict``.

    Raises:
        ValueError: The checkpoint, called ``path``, belongs to another
            detector.
    """
    without = (*without, *(f'detector.{prefix}' for prefix in without))
    weights = weights_of(checkpoint).items()
    found = {k: v for k, v in weights if not k.startswith(without)}
    missing, unused = require_fit(model, found, path)
    require_all(missing, path, without)
    if unused:
        text = f'{path}: the detector does not have {", ".join(unused)}'
        if strict:
            raise ValueError(f'{text}: the file is of another detector.')
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
    """Build the detector of a config without downloading weights.

    Raises:
        ValueError: The detector is not of the given kind.
    """
    model = MODELS.build(without_pretrained(cfg.model))
    if not isinstance(model, kind):
        told = '.'
        if kind.__name__ == 'AutoFocus':
            told = '; tools/misc/add_focus.py makes it one.'
        raise ValueError(
            f'{cfg.filename}: model.type must be sniper_mmdet.'
            f'{kind.__name__}. Received: {cfg.model.type}{told}'
        )
    return model


def load_detector(
    cfg: Config,
    path: str | Path,
    kind: type[nn.Module] = nn.Module,
    proposals_only: bool = False,
    strict: bool = False,
) -> nn.Module:
    """Build the detector of a config with weights of a checkpoint, for tests.

    It is on the default device, in test mode. With ``proposals_only`` the
    weights that its proposals do not need may be missing, or those of another
    detector. For ``strict`` see :func:`load_weights`.

    Raises:
        OSError: There is no such file.
        ValueError: The detector is of another kind, or the file is not a
            checkpoint of it.
    """
    model = build_detector(cfg, kind)
    without = modules_after_proposals(model) if proposals_only else ()
    load_weights(model, path, without, strict)
    return model.to(get_device()).eval()
