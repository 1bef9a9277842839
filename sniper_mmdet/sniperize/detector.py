"""The detector part of a config for chips."""

import math

from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS

from sniper_mmdet.chips import presets
from sniper_mmdet.chips.presets import LEVEL_NMS
from sniper_mmdet.utils.config_text import Code, assignment
from sniper_mmdet.utils.type_names import name_of

from .data import levels
from .draft import Draft
from .focus_head import focus_settings
from .probe import Features
from .rules import HEADS, class_of, dicts, names

#: Sizes of levels are multiples of this stride, or of larger ones.
DIVISOR = 32


def divisor(model: dict, own: int) -> int:
    """Return the number of which the sides of a batch are multiples.

    The strides of a head's anchors or points count only for maps that a neck
    takes from the backbone: it makes the other maps from these, by
    convolutions that take any size.
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
    """Change a test_cfg for a level, where NMS only removes duplicates.

    Returns:
        tuple: Changes of the test_cfg, settings that the pyramid takes from
        it, and the replaced settings in words. A test_cfg without NMS stays as
        it is.
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
    """Return the data_preprocessor, and the changes of its padding.

    Raises:
        ValueError: It is not a DetDataPreprocessor.
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
    """Return the changes of the data_preprocessor, which pads chips.

    Masks are padded too if the transforms that load chips load masks.

    Raises:
        ValueError: It is not a DetDataPreprocessor.
    """
    cfg, delta = level_padding(draft)
    if cfg.get('batch_augments'):
        draft.note(
            f'{names(map(name_of, cfg["batch_augments"]))} of the '
            'data_preprocessor is replaced by padding to the size of a chip.'
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
    """Write the statements that wrap the detector of a config.

    ``features`` are its maps for a focus head, if it gets one. ``training``
    are statements that change its assigners, if any. ``heads`` are the changes
    of its heads.
    """
    cfg, lines = draft.cfg.model, []
    test_cfg, merging, replaced = level_test_cfg(cfg.get('test_cfg') or {})
    kind = 'AutoFocus' if draft.autofocus else 'PyramidDetector'
    delta = dict(type=f'sniper_mmdet.{kind}', detector=cfg.type)
    delta.update(levels(draft.test_pyramid), **merging, **heads)
    if replaced:
        draft.note(
            f'In test_cfg, {replaced}: the soft-NMS that merges the levels '
            '(model.merge) needs weak boxes and near ones.'
        )
    if cfg.get('data_preprocessor'):
        delta['data_preprocessor'] = preprocessor
    else:
        # The runner passes the config's data_preprocessor to the model.
        lines.append(assignment('data_preprocessor', preprocessor) + '\n')
    if training:
        delta['train_cfg'] = Code('_training')
    if test_cfg:
        delta['test_cfg'] = test_cfg
        lines.append(
            '# Boxes are merged over the levels: NMS of a level only removes '
            'duplicates.'
        )
    if draft.autofocus:
        delta.update(focus_settings(draft, *features))
    return '\n'.join([*lines, assignment('model', delta)])
