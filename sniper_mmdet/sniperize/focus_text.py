"""Text of a config that trains only a focus head."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.datasets.transforms import loading_whole
from sniper_mmdet.tuning.plan import FocusPlan
from sniper_mmdet.utils.config_text import Code, assignment, comment
from sniper_mmdet.utils.type_names import name_of

from . import data, loop, rules
from .detector import level_padding, level_test_cfg
from .draft import Draft

# Upper bound of the sides of training images, level pixels.
_CROP = 768
# Range of factors between the levels of training and of testing. Few images
# show few objects; this shows each of them in many sizes.
_JITTER = 2 ** np.arange(-1.25, 1.3, 0.25)
# Iterations of the learning rate's warm-up.
_WARM_UP = 30
# The loss is divided by the number of FocusPixels. Images with hardly one of
# them give a gradient hundreds of times the usual one, of a norm of 2 to 9.
_MAX_NORM = 10


def focus_text(
    draft: Draft,
    base: str,
    plan: FocusPlan,
    settings: dict,
    checkpoint: str,
    iterations: int,
    seed: int,
) -> str:
    """Write a config of AutoFocus around a frozen detector.

    Args:
        draft (Draft): Draft of the detector's config, plain or with a
            PyramidDetector. Settings that cannot be kept are added to its
            notes.
        base (str): Path of that config, from which the new one inherits.
        plan (FocusPlan): Levels and ranges.
        settings (dict): Settings of AutoFocus: the focus head and its like.
        checkpoint (str): File of the detector's weights.
        iterations (int): Training iterations.
        seed (int): Seed of training.

    Raises:
        ValueError: The config has no training data, or its pipelines do not
            fit.
    """
    statements, pipeline = data.images(
        draft, '_whole_images', 'Whole images, as in testing.'
    )
    loading, _, _ = rules.parts_of(pipeline, 'train')
    levels = plan.factors[:-1]
    blocks = [
        assignment('_base_', base),
        '# The levels that the focus head sees.\n'
        + assignment('_whole_images', _training(loading, levels)),
        statements,
        assignment('train_dataloader', _loader(draft)),
        *([] if _is_pyramid(draft) else data.test_loaders(draft)),
        _model(draft, plan, settings),
        _loop(checkpoint, iterations, seed),
        loop.evaluators(draft),
    ]
    head = comment(
        'AutoFocus over the trained detector of '
        f'{Path(base.split("::")[-1]).stem}, which stays as it is; written by '
        'tools/misc/add_focus.py.'
    )
    told = [comment(note, '#   ', '# - ') for note in draft.notes]
    body = '\n\n'.join(filter(None, blocks))
    return '\n'.join([head, *told, body, ''])


def _training(loading: Sequence[dict], factors: Sequence[float]) -> list:
    """Write the data: whole images at the coarse levels, randomly resized."""
    kept = [
        loading_whole(step)
        for step in loading
        if 'Annotat' not in name_of(step)
    ]
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
        # Augmentation, so that a few images of one day are not memorised.
        dict(type='PhotoMetricDistortion'),
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


def _model(draft: Draft, plan: FocusPlan, settings: dict) -> str:
    cfg, lines = draft.cfg.model, []
    delta = dict(type='sniper_mmdet.AutoFocus', frozen=True)
    if _is_pyramid(draft):
        delta['batch_size'] = None
        if (cfg.get('data_preprocessor') or {}).get('batch_augments'):
            # These pad chips, which all have one size.
            delta['data_preprocessor'] = dict(batch_augments=None)
    else:
        delta['detector'] = cfg.type
        test_cfg, merging, _ = level_test_cfg(cfg.get('test_cfg') or {})
        delta.update(merging)
        own, padding = level_padding(draft)
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
                'removes duplicates.'
            )
    delta.update(
        scales=list(plan.factors),
        valid_ranges=list(plan.test_valid_ranges),
        **settings,
    )
    return '\n'.join([*lines, assignment('model', delta)])


def _is_pyramid(draft: Draft) -> bool:
    return name_of(draft.cfg.model) == 'PyramidDetector'


def _loop(checkpoint: str, iterations: int, seed: int) -> str:
    """Write checkpoint, length and optimizer of training."""
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
                _delete_=True,
                type='OptimWrapper',
                optimizer=optimizer,
                clip_grad=dict(max_norm=_MAX_NORM),
            ),
            param_scheduler=[
                dict(
                    type='LinearLR',
                    start_factor=0.1,
                    end=_WARM_UP,
                    **by_iterations,
                ),
                dict(
                    type='CosineAnnealingLR', T_max=iterations, **by_iterations
                ),
            ],
            default_hooks=hooks,
            custom_hooks=[],
            log_processor=by_iterations,
        ).items()
    )
