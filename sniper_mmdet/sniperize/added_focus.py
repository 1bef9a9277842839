"""Writes the config that adds a focus head to a trained detector."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from torch import nn

from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.tuning.plan import FocusPlan
from sniper_mmdet.utils.config_text import Code, assignment, comment

from . import data, detector, loop, probe, rules
from .draft import Draft
from .rules import name_of

#: Level pixels of a side of what is trained on, at most.
_CROP = 1024
#: By which the levels that are trained on differ from those of a test.
_JITTER = (0.84, 1.0, 1.19)


def bare_model(cfg: Config) -> dict:
    """The config of a detector, without a pyramid around it.

    Raises:
        ValueError: No focus head can be added to it.
    """
    model = cfg.get('model') or {}
    if name_of(model) == 'PyramidDetector':
        bare = PyramidDetector.detector_config(model)
        return {**bare, 'type': str(bare['type']).split('/')[-1]}
    rules.refuse_detector(model)
    return model


def add_focus(
    cfg: Config,
    base: str,
    plan: FocusPlan,
    built: nn.Module,
    checkpoint: str,
    iterations: int,
    seed: int = 0,
) -> tuple[str, list[str]]:
    """The text of a config that trains a focus head, and nothing else.

    Args:
        cfg (Config): Of a detector that is trained, plain or a pyramid's.
        base (str): What it inherits from: where ``cfg`` is, seen from there.
        plan (FocusPlan): Levels, ranges and FocusPixels.
        built (nn.Module): The bare detector.
        checkpoint (str): Its weights.
        iterations (int): Of training.
        seed (int): Defaults to 0.

    Returns:
        tuple: The text, and what it could not keep, a sentence each.

    Raises:
        ValueError: It has no training data, or its pipelines do not fit.
    """
    draft = Draft(cfg, autofocus=True)
    statements, pipeline = data.images(
        draft, '_whole_images', 'All of them, as the levels of a test are.'
    )
    loading, _, _ = rules.parts_of(pipeline, 'train')
    wrapped = name_of(cfg.model) == 'PyramidDetector'
    tested = [] if wrapped else data.test_loaders(draft)
    blocks = [
        assignment('_base_', base),
        '# The levels on which the focus head looks.\n'
        + assignment('_whole_images', _training(loading, plan.factors[:-1])),
        statements,
        assignment('train_dataloader', _loader(draft)),
        *tested,
        _model(draft, plan, built, wrapped),
        _loop(checkpoint, iterations, seed),
        loop.evaluators(draft),
    ]
    name = Path(base.split('::')[-1]).stem
    head = comment(
        f'AutoFocus over the trained detector of {name}, which stays as it '
        'is; written by tools/misc/add_focus.py.'
    )
    told = [comment(note, '#   ', '# - ') for note in draft.notes]
    body = '\n\n'.join(filter(None, blocks))
    return '\n'.join([head, *told, body, '']), draft.notes


def _training(loading: Sequence[dict], factors: Sequence[float]) -> list:
    """Whole images at the levels that notice, a little larger or smaller."""
    kept = [step for step in loading if 'Annotat' not in name_of(step)]
    sizes = [float(f'{f * j:.3g}') for f in factors for j in _JITTER]
    resized = [
        [dict(type='Resize', scale_factor=size, keep_ratio=True)]
        for size in sizes
    ]
    crop = dict(crop_size=(_CROP, _CROP), allow_negative_crop=True)
    return [
        *kept,
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='RandomChoice', transforms=resized),
        dict(type='RandomCrop', **crop),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackDetInputs'),
    ]


def _loader(draft: Draft) -> dict:
    own = draft.part('train_dataloader')
    workers = own.get('num_workers', 0)
    return dict(
        _delete_=True,
        batch_size=2,
        num_workers=workers,
        persistent_workers=workers > 0,
        sampler=dict(type='InfiniteSampler'),
        dataset=Code('_images'),
    )


def _model(
    draft: Draft, plan: FocusPlan, built: nn.Module, wrapped: bool
) -> str:
    cfg, lines = draft.cfg.model, []
    delta = dict(type='sniper_mmdet.AutoFocus', frozen=True)
    if wrapped:
        delta['batch_size'] = None
    else:
        delta['detector'] = cfg.type
        test_cfg, merging, _ = detector.level_test_cfg(
            cfg.get('test_cfg') or {}
        )
        delta.update(merging)
        own, padding = detector.level_padding(draft)
        if own.get('batch_augments'):
            padding['batch_augments'] = None
        if padding and cfg.get('data_preprocessor'):
            delta['data_preprocessor'] = padding
        elif padding:
            lines.append(assignment('data_preprocessor', padding) + '\n')
        if test_cfg:
            delta['test_cfg'] = test_cfg
            lines.append(
                '# Boxes are merged over the levels: NMS of a level only '
                'takes out doubles.'
            )
    features, maps = probe.feature_maps(built)
    delta.update(
        scales=list(plan.factors),
        valid_ranges=list(plan.test_valid_ranges),
        focus_head=dict(
            detector.focus_head_config(maps, plan.stride), sizes=plan.sizes
        ),
        focus=[vars(step) for step in plan.focus],
    )
    if features != 'neck':
        delta['features'] = features
    if hasattr(built, 'rpn_head'):
        delta['max_proposals'] = 100
    return '\n'.join([*lines, assignment('model', delta)])


def _loop(checkpoint: str, iterations: int, seed: int) -> str:
    """Statements: where training starts, how long and how it goes."""
    by_iterations = dict(by_epoch=False)
    optimizer = dict(type='AdamW', lr=1e-3, weight_decay=1e-4)
    hooks = dict(
        checkpoint=dict(
            **by_iterations, interval=iterations, save_optimizer=False
        ),
        logger=dict(interval=20),
    )
    return '\n'.join(
        assignment(name, value)
        for name, value in dict(
            load_from=checkpoint,
            randomness=dict(seed=seed),
            train_cfg=dict(
                _delete_=True,
                type='IterBasedTrainLoop',
                max_iters=iterations,
                val_interval=iterations,
            ),
            optim_wrapper=dict(
                _delete_=True, type='OptimWrapper', optimizer=optimizer
            ),
            param_scheduler=[
                dict(
                    type='LinearLR', start_factor=0.1, end=30, **by_iterations
                ),
                dict(
                    type='CosineAnnealingLR',
                    begin=30,
                    T_max=iterations - 30,
                    **by_iterations,
                ),
            ],
            default_hooks=hooks,
            custom_hooks=[],
            log_processor=by_iterations,
        ).items()
    )
