"""A config that adds a focus head to a trained detector."""

import os
from pathlib import Path

from mmengine.config import Config
from torch import nn

from sniper_mmdet.datasets.classes import classes_of
from sniper_mmdet.engine.build_data import (
    build_boxes_dataset,
    build_unread_dataset,
)
from sniper_mmdet.engine.checkpoints import (
    FOCUS_HEAD,
    load_weights,
    trained_classes,
    weights_of,
)
from sniper_mmdet.engine.detector_checks import check_heads, check_names
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.tuning.plan import FocusPlan
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_whole
from sniper_mmdet.utils.type_names import name_of

from . import probe, rules
from .config import base_of, read_plain
from .draft import Draft
from .focus_head import focus_head_config
from .focus_plan import trained_for, usable_strides
from .focus_text import focus_text

# Settings of the focus head: it is narrow, sees some context, has a loss for
# one FocusPixel in a thousand, and starts so that it learns in minutes.
_HEAD = dict(
    feat_channels=64,
    kernel_sizes=(3, 3),
    norm_input=True,
    loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25),
    init_cfg=dict(type='Kaiming', layer='Conv2d', mode='fan_in'),
)
# Proposals that a two-stage detector keeps in a small FocusChip.
_PROPOSALS = 100
# With this loss, probable FocusPixels get from 0.02 to 0.3, depending on the
# data. Until the thresholds are tuned, a budget decides.
_THRESHOLD = 0.02


class TrainedDetector:
    """A trained detector that gets a focus head.

    Args:
        config (str): Config of the detector, plain or in a PyramidDetector,
            see :func:`~sniper_mmdet.sniperize.read_plain`.
        checkpoint (str): File of its weights.
        folder (Path): Folder for the new config; made if it does not exist.
        options (dict, optional): Settings that override the config's; the
            result is then written beside the new config. Defaults to None.

    Attributes:
        images (ImageBoxes): The training data.
        strides (list[int]): Strides of the feature maps for a focus head.
        path (Path): Path of the new config.
        files (list[Path]): All files that are written beside the weights.
        notes (list[str]): Settings that the new config cannot keep, one
            sentence each.

    Raises:
        OSError: There is no such checkpoint.
        ValueError: The checkpoint belongs to another detector, a focus head
            cannot be added, or the data have no boxes.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str,
        folder: Path,
        options: dict | None = None,
    ) -> None:
        self._cfg = cfg = read_plain(config)
        cfg.merge_from_dict(options or {})
        rules.refuse_shapes(cfg)
        built = probe.built(_bare_model(cfg))
        loaded = load_weights(built, checkpoint, [FOCUS_HEAD])
        if any(name.startswith(FOCUS_HEAD) for name in weights_of(loaded)):
            raise UserError(
                f'{checkpoint} has a focus head already: tune.py chooses its '
                'settings. For another plan, give a checkpoint of the '
                'detector alone.'
            )
        self._settings = {}
        features, self._maps = _feature_maps(built)
        self.strides = usable_strides(self._maps)
        if features != 'neck':
            self._settings['features'] = features
        if hasattr(built, 'rpn_head'):
            self._settings['max_proposals'] = _PROPOSALS
        self.checkpoint = os.path.abspath(checkpoint)
        data = build_unread_dataset(cfg, 'train')
        if data is not None:
            check_heads(built, data)
            names = trained_classes(loaded)
            check_names(names, 'checkpoint', classes_of(data), 'training data')
        self.images = build_boxes_dataset(cfg, 'train').images
        name = Path(config.split('::')[-1]).stem
        self.path = folder / f'{name}_autofocus.py'
        self.notes: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._base = base_of(config, folder)
        self.files = [self.path]
        if options:
            self._base = f'{name}_changed.py'
            cfg.dump(folder / self._base)
            self.files.append(folder / self._base)

    def trained_for(self) -> tuple[float, tuple[float, float]]:
        """Call :func:`~sniper_mmdet.sniperize.focus_plan.trained_for`."""
        return trained_for(self._cfg, self.images)

    def write(self, plan: FocusPlan, iterations: int, seed: int) -> None:
        """Write the config that trains a focus head by a plan."""
        draft = Draft(self._cfg, autofocus=True)
        head = dict(
            type='sniper_mmdet.FocusHead',
            **focus_head_config(self._maps, plan.stride),
            sizes=plan.sizes,
            **_HEAD,
        )
        settings = dict(
            self._settings,
            focus_head=head,
            focus=[dict(vars(s), threshold=_THRESHOLD) for s in plan.focus],
            # The odds of the share of true FocusPixels are doubled.
            budget=round(2 * plan.share / (1 + plan.share), 3),
        )
        run = self.checkpoint, iterations, seed
        text = focus_text(draft, self._base, plan, settings, *run)
        write_whole(self.path, lambda part: part.write_text(text))
        self.notes = draft.notes


def _feature_maps(detector: nn.Module) -> probe.Features:
    """Return the maps of the backbone, or else those of the neck.

    The neck serves if the backbone's maps cannot be seen or are too coarse. A
    neck has learned the objects of the training data, with their sizes and
    days; ImageNet features of a backbone hold for other days too.
    """
    try:
        found = probe.feature_maps(detector, 'backbone')
        usable_strides(found[1])
    except ValueError:
        found = probe.feature_maps(detector)
    return found


def _bare_model(cfg: Config) -> dict:
    """Return the config of a detector without its PyramidDetector."""
    model = cfg.get('model') or {}
    if name_of(model) == 'PyramidDetector':
        return PyramidDetector.detector_config(model)
    rules.refuse_detector(model)
    return model
