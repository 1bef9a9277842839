"""What changes of a detector for chips and levels, as sniperize writes it."""

import math

from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS

from sniper_mmdet.chips import presets
from sniper_mmdet.chips.presets import LEVEL_NMS
from sniper_mmdet.utils.config_text import Code, assignment

from .data import levels
from .draft import Draft
from .focus_head import focus_settings
from .probe import Features
from .rules import HEADS, class_of, dicts, name_of, names

#: Levels have sizes that strides up to this divide, or larger ones.
DIVISOR = 32


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
        delta.update(focus_settings(draft, *features))
    return '\n'.join([*lines, assignment('model', delta)])
