"""Inspection of a detector by building it and running it once."""

from copy import deepcopy

import torch
from mmdet.registry import MODELS
from torch import nn

from sniper_mmdet.chips.presets import RELEASED_COCO

from .rules import dicts

#: The name of a module, and channels and stride of each of its maps.
Features = tuple[str, list[tuple[int, int]]]


def reason_of(error: BaseException) -> str:
    """Return the most useful line of an exception, that of its cause.

    For a failed import it is the error inside the import.
    """
    inner = error
    while inner is not None:
        error = inner
        inner = error.__cause__
        if inner is None and isinstance(error, ImportError):
            inner = error.__context__
    # The text of a KeyError has quotes.
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    line = next(filter(None, map(str.strip, text.splitlines())), '')
    return f'{type(error).__name__}: {line}'.removesuffix(': ')


def built(model: dict) -> nn.Module:
    """Build a detector without weights.

    Raises:
        ValueError: The detector cannot be built here.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            return MODELS.build(without_weights(model))
    except Exception as error:  # a detector is a program
        raise ValueError(
            f'{model["type"]} cannot be built here: {reason_of(error)}'
        ) from error


def feature_maps(detector: nn.Module, name: str | None = None) -> Features:
    """Find the module of a detector that gives feature maps, and the maps.

    The module is ``name``, or else 'neck', or 'backbone' without a neck. It
    runs on two empty chips.

    Raises:
        ValueError: The detector cannot run here, or the module gives something
            else.
    """
    seen, size = [None], RELEASED_COCO.chip_size
    neck = getattr(detector, 'neck', None)
    name = name or ('neck' if isinstance(neck, nn.Module) else 'backbone')
    try:
        module = getattr(detector, name)
        module.register_forward_hook(lambda *args: seen.append(args[-1]))
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            # The mode is that of training: some detectors have more maps then,
            # and batch norm needs more than one image.
            detector.train()
            detector.extract_feat(torch.zeros(2, 3, size, size))
    except Exception as error:  # a detector is a program
        raise ValueError(
            f'the feature maps of {type(detector).__name__} are not known, '
            f'since it cannot be run here: {reason_of(error)}'
        ) from error
    maps = [seen[-1]] if isinstance(seen[-1], torch.Tensor) else seen[-1]
    if not isinstance(maps, (list, tuple)) or not all(
        isinstance(m, torch.Tensor) and m.ndim == 4 and len(m) == 2
        for m in maps
    ):
        raise ValueError(
            f'a focus head cannot see the {name} of '
            f'{type(detector).__name__}, which does not give one feature map '
            'per level and image.'
        )
    return name, [(m.shape[1], round(size / m.shape[-1])) for m in maps]


def maps_of_wrapped(model: dict) -> list[tuple[int, int]]:
    """Return channels and stride of each map for a focus head.

    Args:
        model (dict): Config of a PyramidDetector or an AutoFocus detector.

    Raises:
        ValueError: The detector cannot be built or run here.
    """
    return feature_maps(built(model).detector, model.get('features'))[1]


def without_weights(model: dict) -> dict:
    """Copy a config so that building it loads and downloads nothing.

    Batch norm over several GPUs becomes a local one, for a single process.
    """
    model = deepcopy(model)
    for part in dicts(model):
        for key in {'init_cfg', 'pretrained'}.intersection(part):
            part[key] = None
        if part['type'] in ('MMSyncBN', 'SyncBN'):
            part['type'] = 'BN'
    return model
