"""Writes the config that trains another one's detector on chips of its data.

What a config of MMDetection says is kept; what chips and an image pyramid
change is written beside it. What cannot be decided from a config is told.
"""

import math
import os
from pathlib import Path

from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sniper_mmdet.chips.presets import RELEASED_COCO_TEST
from sniper_mmdet.utils.config_text import Code, assignment, call, comment

from . import detector as changes
from . import probe, rules
from .data import CHIP, DataDelta, levels
from .rules import name_of, names

#: Of optimizers, unless a config says otherwise.
_CONSTRUCTOR = 'DefaultOptimWrapperConstructor'


def read_plain(config: str) -> Config:
    """A config to be made one that trains on chips.

    Args:
        config (str): Path, or ``mmdet::retinanet/...``.

    Raises:
        ValueError: It cannot be read, or nothing can inherit from it.
    """
    base = config
    if '::' not in config:
        base = str(Path(config).absolute())
        if not Path(base).is_file():
            raise ValueError(f'there is no config {config}.')
    try:
        lazy = Path(base).is_file() and Config._is_lazy_import(base)
        # As the config that is to be written reads it.
        cfg = (
            None if lazy else Config.fromstring(f'_base_ = {base!r}\n', '.py')
        )
    except (Exception, SystemExit) as error:  # a config is a program
        if '::' in config and isinstance(error, FileNotFoundError):
            raise ValueError(f'there is no config {config}.') from error
        raise ValueError(
            f'{config} cannot be read: {probe.reason_of(error)}'
        ) from error
    if lazy:
        raise ValueError(
            f'{config} is a config in pure Python (read_base() or imports), '
            'from which no text config can inherit; give one with _base_ = '
            '..., or an export (Config.dump).'
        )
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return cfg


def base_of(config: str, folder: str | os.PathLike) -> str:
    """What ``_base_`` must be in a file of a folder."""
    if '::' in config:
        return config
    path = os.path.relpath(config, folder)
    real = Path(os.path.realpath(Path(config).parent), Path(config).name)
    # '..' is another folder by the name of a link to one than by its own.
    if path != os.path.relpath(real, os.path.realpath(folder)):
        path = os.path.abspath(config)
    return Path(path).as_posix()


def sniperize(
    cfg: Config, base: str, autofocus: bool = False
) -> tuple[str, list[str]]:
    """The text of a config for chips that inherits from another one.

    Args:
        cfg (Config): Of any detector of MMDetection, see :func:`read_plain`.
        base (str): What it inherits from: where ``cfg`` is, seen from there.
        autofocus (bool): An AutoFocus detector instead of a pyramid's.
            Defaults to False.

    Returns:
        tuple: The text, and what it could not decide, a sentence each; the
        text holds the sentences too.

    Raises:
        ValueError: The detector cannot be trained on chips, in one sentence.
    """
    return _Delta(cfg, base, autofocus).write()


class _Delta(DataDelta):
    """All that changes of one config."""

    def __init__(self, cfg: Config, base: str, autofocus: bool) -> None:
        rules.refuse_shapes(cfg)
        rules.refuse_detector(cfg.get('model') or {})
        super().__init__(cfg)
        self.base = base
        self.autofocus = autofocus

    def write(self) -> tuple[str, list[str]]:
        images, leaves, pipeline = self.images()
        chips = self.chip_pipeline(pipeline)
        self.with_mask = any(
            step.get('with_mask') for step in chips[: self.num_loading]
        )
        preprocessor = self.preprocessor()
        # What cannot be built is refused before anything is written for it.
        self.detector = probe.built(self.cfg.model)
        training, ignores = self.training()
        if not ignores:
            chips[self.num_loading]['out_of_range'] = 'drop'
        kind = 'AutoFocus' if self.autofocus else 'SNIPER'
        body = [assignment('_base_', self.base)]
        body.append(
            '# Whole images become chips, whose sizes no transform may '
            'change.\n' + assignment('_chip_pipeline', chips)
        )
        loaders = self.test_loaders()
        body.append('\n'.join(images))
        body.append(self.train_loader())
        body += loaders
        if training:
            body.append(
                comment(
                    'What resembles a box that a chip does not train is '
                    'neither object nor background.'
                )
                + '\n'
                + '\n'.join(training)
            )
        body.append(self.model(preprocessor, bool(training)))
        body += self.optimizer()
        body.append(self.hooks())
        if self.autofocus:
            body += self.evaluators()
        self.notes = self.general_notes(leaves) + self.notes
        head = [
            comment(
                f'{kind} of {Path(self.base.split("::")[-1]).stem}, written '
                'by tools/sniperize.py, which could not decide:'
            ),
            '#',
            *(comment(note, '#   ', '# - ') for note in self.notes),
        ]
        return '\n'.join(head) + '\n' + '\n\n'.join(body) + '\n', self.notes

    def training(self) -> tuple[list[str], bool]:
        """Statements that let assigners ignore boxes, and whether all can."""
        cannot = changes.without_ignoring(self.cfg.model)
        if cannot:
            self.note(
                f'{names(cannot)} cannot ignore a box: one that a '
                'chip shows but does not train is background (out_of_range='
                "'drop'); 'keep' would train it."
            )
            return [], False
        lines = []
        train_cfg = self.cfg.model.get('train_cfg')
        for cfg, path in changes.assigners(train_cfg, '_training'):
            change = changes.range_aware(cfg)
            if change:
                lines.append(call(f'{path}.update', **change))
            if 'ignore_iof_thr' in change:
                self.note(
                    f'ignore_iof_thr={cfg["ignore_iof_thr"]} of '
                    f'{name_of(cfg)} is off: it would ignore objects in front '
                    'of an ignored box, too.'
                )
        if lines:
            lines.insert(
                0, assignment('_training', Code('_base_.model.train_cfg'))
            )
        return lines, True

    def model(self, preprocessor: dict, has_training: bool) -> str:
        cfg = self.cfg.model
        scales, ranges = levels(RELEASED_COCO_TEST)
        kind = 'sniper_mmdet.PyramidDetector'
        if self.autofocus:
            kind = 'sniper_mmdet.AutoFocus'
            # As released.
            ranges[-1] = (0, 75)
        delta = dict(
            type=kind,
            detector=cfg.type,
            scales=scales,
            valid_ranges=ranges,
        )
        test_cfg, merging, replaced = changes.level_test_cfg(
            cfg.get('test_cfg') or {}
        )
        delta.update(merging)
        if replaced:
            self.note(
                f'Of test_cfg, {replaced}: weak boxes and near ones are for '
                'the soft-NMS that merges the levels (model.merge).'
            )
        lines = []
        if cfg.get('data_preprocessor'):
            delta['data_preprocessor'] = preprocessor
        else:
            # The runner gives the model that of the config.
            lines.append(assignment('data_preprocessor', preprocessor) + '\n')
        if has_training:
            delta['train_cfg'] = Code('_training')
        if test_cfg:
            delta['test_cfg'] = test_cfg
        if self.autofocus:
            delta.update(self.focus())
        if test_cfg:
            lines.append(
                '# Boxes are merged over the levels: NMS of a level only '
                'takes out doubles.'
            )
        return '\n'.join([*lines, assignment('model', delta)])

    def preprocessor(self) -> dict:
        own = self.cfg.model.get('data_preprocessor')
        common = self.cfg.get('data_preprocessor')
        cfg = own or common or {}
        if not issubclass(
            rules.class_of(MODELS, cfg, 'model.data_preprocessor'),
            DetDataPreprocessor,
        ):
            raise ValueError(
                'model.data_preprocessor must be a DetDataPreprocessor, that '
                f'pads chips and levels. Received: {name_of(cfg) or None}.'
            )
        if cfg.get('batch_augments'):
            taken_out = [name_of(step) for step in cfg['batch_augments']]
            self.note(
                f'{names(taken_out)} of the data_preprocessor is replaced '
                'by one that pads to the size of a chip.'
            )
        own = cfg.get('pad_size_divisor', 1)
        divisor = changes.divisor(self.cfg.model, own)
        pad = dict(type='BatchFixedSizePad', size=(CHIP, CHIP))
        if self.with_mask:
            pad['pad_mask'] = True
        delta = {}
        if divisor != own:
            delta['pad_size_divisor'] = divisor
        delta['batch_augments'] = [pad]
        return delta

    def focus(self) -> dict:
        """Settings of a focus head, on maps of strides 16 and 8 if there."""
        features, maps = probe.feature_maps(self.detector)
        strides = [stride for _, stride in maps]
        # The deepest of the nearest.
        first = min(
            range(len(maps)),
            key=lambda i: (abs(math.log2(strides[i]) - 4), -i),
        )
        stride = strides[first]
        used = [first]
        if stride == 16 and 8 in strides:
            used.append(max(i for i, s in enumerate(strides) if s == 8))
        if stride != 16:
            self.note(
                f'No map of the {features} has stride 16; FocusPixels are '
                f'cells of the one of stride {stride} (there are: {strides}).'
            )
        self.note(
            'focus is as released; tools/analysis_tools/focus_curve.py tells '
            'which thresholds suit the trained focus head.'
        )
        focus = dict(
            focus_head=dict(
                type='sniper_mmdet.FocusHead',
                in_channels=sum(maps[i][0] for i in used),
                in_indices=tuple(used),
                stride=stride,
            )
        )
        if features != 'neck':
            focus['features'] = features
        return focus

    def optimizer(self) -> list[str]:
        """A statement, where parameters are told apart by their places."""
        wrapper = self.part('optim_wrapper')
        kind = name_of(dict(type=wrapper.get('constructor') or _CONSTRUCTOR))
        if kind == _CONSTRUCTOR:
            return []
        settings = wrapper.get('paramwise_cfg') or {}
        kept = {k: v for k, v in settings.items() if k in changes.PARAMWISE}
        taken_out = [kind, *(key for key in settings if key not in kept)]
        self.note(
            f'{names(taken_out)} of optim_wrapper is taken out: it looks for '
            'the backbone where the wrapper has the detector; all layers '
            'learn at one rate now.'
        )
        delta = dict(constructor=_CONSTRUCTOR, paramwise_cfg=None)
        if kept:
            delta['paramwise_cfg'] = dict(_delete_=True, **kept)
        return [assignment('optim_wrapper', delta)]

    def hooks(self) -> str:
        kept, taken_out = [], []
        for i, hook in enumerate(self.cfg.get('custom_hooks') or []):
            if name_of(hook) in (*rules.SWITCHES, 'SetEpochInfoHook'):
                taken_out.append(name_of(hook))
            elif not name_of(hook).endswith('ChipMiningHook'):
                kept.append(Code(f'_base_.custom_hooks[{i}]'))
        switches = [name for name in taken_out if name in rules.SWITCHES]
        if switches:
            self.note(
                f'{names(switches)} is taken out: there are no pipelines to '
                'switch for the last epochs'
                + (
                    ', and no L1 loss is added then (bbox_head.use_l1).'
                    if 'YOLOXModeSwitchHook' in switches
                    else '.'
                )
            )
        if 'SetEpochInfoHook' in taken_out:
            self.note(
                'SetEpochInfoHook is taken out: the wrapper has no set_epoch, '
                'so what the detector changes by epoch stays as it starts.'
            )
        mining = dict(type='sniper_mmdet.ChipMiningHook')
        return assignment('custom_hooks', [mining, *kept])

    def evaluators(self) -> list[str]:
        pixels = dict(type='sniper_mmdet.PixelsMetric')
        blocks = []
        for name in ('val_evaluator', 'test_evaluator'):
            own = self.cfg.get(name)
            if not own:
                continue
            if isinstance(own, dict) and name_of(own).endswith('Evaluator'):
                self.note(
                    f'{name} stays as it is: {name_of(own)} takes no '
                    'sniper_mmdet.PixelsMetric beside others.'
                )
                continue
            parts = [
                Code(
                    f'_base_.{name}'
                    if isinstance(own, dict)
                    else f'*_base_.{name}'
                )
            ]
            blocks.append(assignment(name, [*parts, pixels]))
        return ['\n'.join(blocks)] if blocks else []

    def general_notes(self, leaves: list[dict]) -> list[str]:
        """What every config leaves open, and what this one's numbers tell."""
        loop = self.part('train_cfg')
        batch = self.part('train_dataloader').get('batch_size', 1)
        chips = f'{batch} chips of {CHIP}x{CHIP} px'
        notes = [
            'scales, valid_ranges and chip_size are those released for COCO: '
            'tools/analysis_tools/suggest_settings.py proposes others from '
            'your boxes.'
        ]
        if loop.get('max_iters'):
            notes.append(
                f'max_iters={loop["max_iters"]} and the learning rate are '
                f'kept: an iteration is {chips} now.'
            )
        else:
            notes.append(
                f'max_epochs={loop.get("max_epochs")} and the learning rate '
                'are kept: an epoch is all chips now, several an image '
                '(tools/analysis_tools/chip_statistics.py counts them), an '
                f'iteration {chips}.'
            )
        norms = changes.trained_norms(self.cfg.model)
        if norms:
            notes.append(
                f'Batch norm of {names(norms)} is trained on {chips}, and '
                'tested on whole levels.'
            )
        heads = changes.classes_of_heads(self.cfg.model)
        for data in leaves:
            found = rules.classes_of(data)
            if found and heads and found not in heads:
                notes.append(
                    f'num_classes is {names(map(str, sorted(heads)))}, and '
                    f'the classes of the data are {found} ({data["type"]}).'
                )
        if any(
            name_of(part).startswith('SSDAnchor')
            for part in rules.dicts(self.cfg.model)
        ):
            notes.append(
                'SSD lays out its anchors for one input size, which neither '
                'chips nor levels have.'
            )
        if self.cfg.get('tta_model'):
            notes.append(
                'tta_model and tta_pipeline stay, and do not fit: the '
                'pyramid is what they are for.'
            )
        return list(dict.fromkeys(notes))
