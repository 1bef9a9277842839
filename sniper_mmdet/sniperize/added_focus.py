"""Adds a focus head to the config of a detector that is trained."""

import os
from pathlib import Path

from mmengine.config import Config

from sniper_mmdet.engine.build_data import build_boxes_dataset
from sniper_mmdet.engine.checkpoints import load_weights
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.utils.files import write_whole

from . import probe, rules
from .config import base_of, read_plain
from .detector import focus_head_config
from .draft import Draft
from .focus_plan import plan_for, trained_for
from .focus_text import focus_text
from .rules import name_of

# Of the focus head: channels, and a loss for one FocusPixel in a thousand.
_CHANNELS = 64
_LOSS = dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25)
# That a two-stage detector keeps in a small FocusChip.
_PROPOSALS = 100


def write_focus_config(
    config: str,
    checkpoint: str,
    folder: Path,
    options: dict | None = None,
    factor: float | None = None,
    iterations: int = 600,
    seed: int = 0,
) -> tuple[Path, list[str]]:
    """Write the config that trains a focus head for a trained detector.

    Args:
        config (str): Of the detector, plain or a pyramid's, see
            :func:`~sniper_mmdet.sniperize.read_plain`.
        checkpoint (str): Its weights.
        folder (Path): Where it is written to; made if it is missing.
        options (dict, optional): That override the config's, which is then
            written beside it. Defaults to None.
        factor (float, optional): Of the finest level. Defaults to None: the
            config's own.
        iterations (int): Of training. Defaults to 600.
        seed (int): Defaults to 0.

    Returns:
        tuple: The file, and what there is to know, a sentence each.

    Raises:
        OSError: There is no such checkpoint, or nothing can be written.
        ValueError: The checkpoint is of another detector, no focus head can
            be added to it, or the data have no boxes.
    """
    cfg = read_plain(config)
    cfg.merge_from_dict(options or {})
    rules.refuse_shapes(cfg)
    built = probe.built(_bare_model(cfg))
    load_weights(built, checkpoint, ['focus_head.'])
    features, maps = probe.feature_maps(built)
    images = build_boxes_dataset(cfg, 'train').images
    finest, target = trained_for(cfg, images)
    plan = plan_for(images, factor or finest, target, maps)
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(config.split('::')[-1]).stem
    base = base_of(config, folder)
    if options:
        base = f'{name}_changed.py'
        cfg.dump(folder / base)
    draft = Draft(cfg, autofocus=True)
    head = dict(
        type='sniper_mmdet.FocusHead',
        **focus_head_config(maps, plan.stride),
        feat_channels=_CHANNELS,
        sizes=plan.sizes,
        loss_cls=_LOSS,
    )
    settings = dict(focus_head=head, focus=[vars(step) for step in plan.focus])
    if features != 'neck':
        settings['features'] = features
    if hasattr(built, 'rpn_head'):
        settings['max_proposals'] = _PROPOSALS
    run = os.path.abspath(checkpoint), iterations, seed
    text = focus_text(draft, base, plan, settings, *run)
    path = folder / f'{name}_autofocus.py'
    write_whole(path, lambda part: part.write_text(text))
    return path, draft.notes


def _bare_model(cfg: Config) -> dict:
    """The config of a detector, without a pyramid around it."""
    model = cfg.get('model') or {}
    if name_of(model) == 'PyramidDetector':
        return PyramidDetector.detector_config(model)
    rules.refuse_detector(model)
    return model
