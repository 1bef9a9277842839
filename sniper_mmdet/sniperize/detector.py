"""What changes of a detector for chips and levels, as sniperize writes it."""

import math

from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS

from sniper_mmdet.chips import presets
from sniper_mmdet.chips.presets import LEVEL_NMS
from sniper_mmdet.utils.config_text import Code, assignment

from .data import levels
from .draft import Draft
from .probe import Features
from .rules import HEADS, class_of, dicts, name_of, names

#: Levels have sizes that strides up to this divide, or larger ones.
DIVISOR = 32

# Of feature maps whose cells can be the FocusPixels of a plan.
_FOCUS_STRIDES = (4, 8, 16)


def divisor(model: dict, own: int) -> int:
    """What the sides of a batch are multiples of.

    Of the strides of a head's anchors or points only those count whose maps
    a neck takes from the backbone: it makes the others of these, by
    convolutions of any size.
    """
    neck, *_ = [*dicts(model.get('neck')), {}]
    channels, taken = neck.get('in_channels'), None
    if isinstance(channels, (list, tuple)):
        taken = len(channels) - neck.get('start_level', 0)
    largest = [
        max(stride) if isinstance(stride, (list, tuple)) else stride
        for key in HEADS
        for part in dicts(model.get(key))
        if isinstance(part.get('strides'), (list, tuple))
        for stride in part['strides'][:taken]
    ]
    return math.lcm(own, DIVISOR, int(max(largest, default=1)))


def level_test_cfg(cfg: dict) -> tuple[dict, dict, str]:
    """What a test_cfg becomes: NMS of a level only takes out doubles.

    Returns:
        tuple: Changes of the test_cfg, what the pyramid takes over of it, and
        what that replaces, in words. Without NMS it stays as it is.
    """
    changes, change, replaced = {}, {}, []
    own = (cfg['rcnn'] or {}) if 'rcnn' in cfg else cfg
    score, most = LEVEL_NMS['score_thr'], LEVEL_NMS['max_per_img']
    if 'rcnn' in cfg and (cfg.get('rpn') or {}).get('max_per_img', 0) > most:
        changes['rpn'] = dict(max_per_img=most)
    nms, of_image = own.get('nms'), own.get('max_per_img')
    merging = {} if of_image is None else dict(max_per_img=of_image)
    if nms is None:
        return changes, merging, ''
    if own.get('score_thr', 0) > score:
        change['score_thr'] = score
        replaced.append(f'score_thr={own["score_thr"]} is {score} now')
    change['nms'] = dict(LEVEL_NMS['nms'])
    if change['nms'] != nms:
        inner = ', '.join(f'{key}={value!r}' for key, value in nms.items())
        iou = LEVEL_NMS['nms']['iou_threshold']
        replaced.append(f'nms=dict({inner}) is one at an IoU of {iou}')
    if not set(LEVEL_NMS['nms']).issuperset(nms):
        change['nms']['_delete_'] = True
    if nms.get('class_agnostic'):
        change['nms']['class_agnostic'] = True
        merging['merge'] = dict(presets.SOFT_NMS, class_agnostic=True)
    if of_image is not None and 0 <= of_image < most:
        change['max_per_img'] = most
    changes.update(dict(rcnn=change) if 'rcnn' in cfg else change)
    return changes, merging, ' and '.join(replaced)


def level_padding(draft: Draft) -> tuple[dict, dict]:
    """The data_preprocessor, and what levels change of its padding.

    Raises:
        ValueError: It is one of another kind.
    """
    model = draft.cfg.model
    cfg = model.get('data_preprocessor') or draft.part('data_preprocessor')
    kind = class_of(MODELS, cfg, 'model.data_preprocessor')
    if not issubclass(kind, DetDataPreprocessor):
        raise ValueError(
            'model.data_preprocessor must be a DetDataPreprocessor, that '
            f'pads chips and levels. Received: {name_of(cfg) or None}.'
        )
    own = cfg.get('pad_size_divisor', 1)
    needed = divisor(model, own)
    return cfg, {} if needed == own else dict(pad_size_divisor=needed)


def preprocessor(draft: Draft, loading: list[dict]) -> dict:
    """What changes of the data_preprocessor, which pads chips and levels.

    Masks are padded too where the transforms that load chips load them.

    Raises:
        ValueError: It is one of another kind.
    """
    cfg, delta = level_padding(draft)
    if cfg.get('batch_augments'):
        draft.note(
            f'{names(map(name_of, cfg["batch_augments"]))} of the '
            'data_preprocessor is replaced by one that pads to the size of a '
            'chip.'
        )
    size = draft.chips.chip_size
    pad = dict(type='BatchFixedSizePad', size=(size, size))
    if any(step.get('with_mask') for step in loading):
        pad['pad_mask'] = True
    return dict(delta, batch_augments=[pad])


def model(
    draft: Draft,
    features: Features | None,
    preprocessor: dict,
    training: str,
    heads: dict,
) -> str:
    """Statements that wrap the detector of a config.

    ``features`` are its maps for a focus head, if it is to have one;
    ``training`` the statements that change its assigners, if any; and
    ``heads`` is what changes of its heads.
    """
    cfg, lines = draft.cfg.model, []
    test_cfg, merging, replaced = level_test_cfg(cfg.get('test_cfg') or {})
    kind = 'AutoFocus' if draft.autofocus else 'PyramidDetector'
    delta = dict(type=f'sniper_mmdet.{kind}', detector=cfg.type)
    delta.update(levels(draft.test_pyramid), **merging, **heads)
    if replaced:
        draft.note(
            f'Of test_cfg, {replaced}: weak boxes and near ones are for the '
            'soft-NMS that merges the levels (model.merge).'
        )
    if cfg.get('data_preprocessor'):
        delta['data_preprocessor'] = preprocessor
    else:
        # The runner gives the model that of the config.
        lines.append(assignment('data_preprocessor', preprocessor) + '\n')
    if training:
        delta['train_cfg'] = Code('_training')
    if test_cfg:
        delta['test_cfg'] = test_cfg
        lines.append(
            '# Boxes are merged over the levels: NMS of a level only takes '
            'out doubles.'
        )
    if draft.autofocus:
        delta.update(_focus(draft, *features))
    return '\n'.join([*lines, assignment('model', delta)])


def focus_strides(maps: list[tuple[int, int]]) -> list[int]:
    """Of feature maps, (channels, stride), the strides that a plan can have.

    From fine to coarse; none where a detector has no such map.
    """
    return sorted({stride for _, stride in maps}.intersection(_FOCUS_STRIDES))


def focus_head_config(
    maps: list[tuple[int, int]], stride: int | None = None
) -> dict:
    """What a focus head takes of feature maps: a part of its config.

    Args:
        maps (list[tuple]): Channels and stride of each.
        stride (int, optional): Of FocusPixels, of one of the maps: that one
            is taken, and the next coarser beside it, which shows more around
            an object. Defaults to None, as released: the stride nearest to
            16, and beside 16 that of 8.

    Returns:
        dict: ``in_channels``, ``in_indices`` and ``stride``.
    """
    deepest = {stride: i for i, (_, stride) in enumerate(maps)}
    beside = 2 * stride if stride else 8
    if stride is None:
        stride = min(
            deepest, key=lambda s: (abs(math.log2(s) - 4), -deepest[s])
        )
        beside = 8 if stride == 16 else stride
    used = [deepest[stride]]
    if beside in deepest and beside != stride:
        used.append(deepest[beside])
    channels = sum(maps[i][0] for i in used)
    return dict(in_channels=channels, in_indices=tuple(used), stride=stride)


def _focus(draft: Draft, features: str, maps: list[tuple[int, int]]) -> dict:
    """Settings of a focus head, on maps of strides 16 and 8 if there."""
    advice = draft.advice
    head = dict(type='sniper_mmdet.FocusHead')
    head.update(focus_head_config(maps, advice and advice.focus_stride))
    stride, strides = head['stride'], [stride for _, stride in maps]
    if stride != 16 and not advice:
        draft.note(
            f'No map of the {features} has stride 16; FocusPixels are cells '
            f'of the one of stride {stride} (there are: {strides}).'
        )
    thresholds = 'thresholds of focus are' if advice else 'focus is'
    draft.note(
        f'{thresholds} as released; tools/analysis_tools/focus_curve.py tells '
        'which thresholds suit the trained focus head.'
    )
    settings = dict(focus_head=head)
    if advice:
        head['sizes'] = advice.focus_sizes
        settings['focus'] = [vars(step) for step in advice.focus]
    where = {} if features == 'neck' else dict(features=features)
    return dict(settings, **where)
