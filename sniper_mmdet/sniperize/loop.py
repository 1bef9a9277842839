"""The optimizer, hooks and metrics of a config for chips.

It also writes the notes on decisions that are left to the user.
"""

from collections.abc import Iterator

from sniper_mmdet.utils.config_text import Code, assignment
from sniper_mmdet.utils.type_names import name_of

from . import rules
from .draft import Draft
from .rules import dicts, names

#: Default constructor of optimizers.
_CONSTRUCTOR = 'DefaultOptimWrapperConstructor'
#: Keys of paramwise_cfg that mmengine's default constructor reads.
_PARAMWISE = (
    'bias_decay_mult bias_lr_mult bypass_duplicate custom_keys '
    'dcn_offset_lr_mult dwconv_decay_mult flat_decay_mult norm_decay_mult'
).split()


def optimizer(draft: Draft) -> str:
    """Write the optim_wrapper if it selects parameters by name."""
    wrapper = draft.part('optim_wrapper')
    kind = name_of(dict(type=wrapper.get('constructor') or _CONSTRUCTOR))
    if kind == _CONSTRUCTOR:
        return ''
    settings = wrapper.get('paramwise_cfg') or {}
    kept = {k: v for k, v in settings.items() if k in _PARAMWISE}
    taken_out = [kind, *(key for key in settings if key not in kept)]
    draft.note(
        f'{names(taken_out)} of optim_wrapper is taken out: in the wrapper '
        'it does not find the backbone. All layers learn at one rate now.'
    )
    settings = dict(_delete_=True, **kept) if kept else None
    delta = dict(constructor=_CONSTRUCTOR, paramwise_cfg=settings)
    return assignment('optim_wrapper', delta)


def hooks(draft: Draft) -> str:
    """Write the hooks: add chip mining, remove those that do not fit."""
    kept, taken_out = [dict(type='sniper_mmdet.ChipMiningHook')], []
    for i, hook in enumerate(draft.cfg.get('custom_hooks') or []):
        name = name_of(hook)
        if name in (*rules.SWITCHES, 'SetEpochInfoHook'):
            taken_out.append(name)
        elif not name.endswith('ChipMiningHook'):
            kept.append(Code(f'_base_.custom_hooks[{i}]'))
    if switches := [name for name in taken_out if name in rules.SWITCHES]:
        l1 = ', and no L1 loss is added then (bbox_head.use_l1)'
        draft.note(
            f'{names(switches)} is taken out: there are no pipelines to '
            'switch for the last epochs'
            f'{l1 if "YOLOXModeSwitchHook" in switches else ""}.'
        )
    if 'SetEpochInfoHook' in taken_out:
        draft.note(
            'SetEpochInfoHook is taken out: the wrapper has no set_epoch. '
            'Settings that the detector changes by epoch keep their start.'
        )
    return assignment('custom_hooks', kept)


def evaluators(draft: Draft) -> str:
    """Write evaluators that also count the pixels AutoFocus looks at."""
    lines = []
    for name in ('val_evaluator', 'test_evaluator'):
        own = draft.cfg.get(name)
        is_one = isinstance(own, dict)
        if is_one and name_of(own).endswith('Evaluator'):
            draft.note(
                f'{name} stays as it is: {name_of(own)} does not allow a '
                'sniper_mmdet.PixelsMetric.'
            )
        elif own:
            kept = Code(f'_base_.{name}' if is_one else f'*_base_.{name}')
            pixels = dict(type='sniper_mmdet.PixelsMetric')
            lines.append(assignment(name, [kept, pixels]))
    return '\n'.join(lines)


def general_notes(draft: Draft) -> Iterator[str]:
    """Yield notes on decisions that are left to the user."""
    loop, loader = draft.part('train_cfg'), draft.part('train_dataloader')
    size = draft.chips.chip_size
    chips = f'{loader.get("batch_size", 1)} chips of {size}x{size} px'
    if not draft.advice:
        yield (
            'scales, valid_ranges and chip_size are those released for COCO: '
            '--suggest chooses them by the sizes of your boxes.'
        )
    if loop.get('max_iters'):
        yield (
            f'max_iters={loop["max_iters"]} and the learning rate are kept: '
            f'an iteration is {chips} now.'
        )
    else:
        yield (
            f'max_epochs={loop.get("max_epochs")} and the learning rate are '
            'kept: an epoch is all chips now, several per image '
            '(tools/analysis_tools/chip_statistics.py counts them), and an '
            f'iteration is {chips}.'
        )
    if norms := trained_norms(draft.cfg.model):
        yield (
            f'Batch norm of {names(norms)} is trained on {chips}, and tested '
            'on whole levels.'
        )
    heads = classes_of_heads(draft.cfg.model)
    for data, _ in rules.leaves(loader['dataset'], ''):
        found = rules.classes_of(data)
        if found and heads and found not in heads:
            yield (
                f'num_classes is {names(map(str, sorted(heads)))}, and the '
                f'classes of the data are {found} ({data["type"]}).'
            )
    kinds = map(name_of, dicts(draft.cfg.model))
    if any(kind.startswith('SSDAnchor') for kind in kinds):
        yield (
            'SSD lays out its anchors for one input size, which neither '
            'chips nor levels have.'
        )
    if draft.cfg.get('tta_model'):
        yield (
            'tta_model and tta_pipeline stay, but do not fit: the pyramid '
            'replaces them.'
        )


def classes_of_heads(model: dict) -> set[int]:
    """Return the numbers of classes of a detector's heads."""
    heads = [model.get(key) for key in ('bbox_head', 'mask_head', 'roi_head')]
    found = [part.get('num_classes') for part in dicts(heads)]
    return {number for number in found if isinstance(number, int)}


def trained_norms(model: dict) -> list[str]:
    """Return the modules of a detector whose batch norm is trained."""
    return [
        key
        for key, value in model.items()
        for part in dicts(value)
        if 'BN' in str((part.get('norm_cfg') or {}).get('type'))
        and part['norm_cfg'].get('requires_grad', True)
        and not part.get('norm_eval', False)
    ]
