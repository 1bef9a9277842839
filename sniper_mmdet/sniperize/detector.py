"""What changes of a detector for chips and levels, as sniperize writes it."""

import math
from collections.abc import Iterator

from mmdet.models import dense_heads, roi_heads
from mmdet.registry import MODELS

from sniper_mmdet.chips.presets import SOFT_NMS

from .rules import class_of, dicts, name_of

#: Where a detector has its heads.
_HEADS = ('bbox_head', 'query_head', 'roi_head', 'rpn_head')
#: Heads that tell their assigners which boxes to ignore; others read only
#: what is to be found, whatever train_cfg says.
_TELLING = (
    dense_heads.AnchorHead,
    roi_heads.CascadeRoIHead,
    roi_heads.StandardRoIHead,
)
_NOT_TELLING = (
    dense_heads.FreeAnchorRetinaHead,
    # It tells them, and then learns from all scores alike.
    dense_heads.VFNetHead,
    roi_heads.SparseRoIHead,
)
#: Assigners of which this package has one that ignores by IoU.
RANGE_AWARE = dict(
    MaxIoUAssigner='sniper_mmdet.RangeAwareAssigner',
    ATSSAssigner='sniper_mmdet.RangeAwareATSSAssigner',
)
#: IoU with an ignored box above which nothing is background, at least: of
#: SNIP, and higher where an assigner calls more background.
IGNORE_IOU = 0.3
#: Detections kept of a level, as in configs/_base_/any_detector.py.
MOST_OF_LEVEL = 300
LEVEL_SCORE = 0.001
LEVEL_IOU = 0.7
#: Levels have sizes that strides up to this divide, or larger ones.
DIVISOR = 32
#: What mmengine's own constructor of optimizers reads of paramwise_cfg.
PARAMWISE = (
    'bias_decay_mult',
    'bias_lr_mult',
    'bypass_duplicate',
    'custom_keys',
    'dcn_offset_lr_mult',
    'dwconv_decay_mult',
    'flat_decay_mult',
    'norm_decay_mult',
)


def assigners(part, path: str) -> Iterator[tuple[dict, str]]:
    """Assigners of a train_cfg, and the expression that names each."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key.endswith('assigner') and isinstance(value, dict):
                yield value, f'{path}.{key}'
            else:
                yield from assigners(value, f'{path}.{key}')
    elif isinstance(part, (list, tuple)):
        for i, value in enumerate(part):
            yield from assigners(value, f'{path}[{i}]')


def without_ignoring(model: dict) -> list[str]:
    """What of a detector trains an ignored box as background.

    Heads that do not tell their assigners of one, and assigners that none of
    this package replaces; the detector itself where neither is known.
    """
    heads = [key for key in _HEADS if model.get(key)]
    found = [] if heads else [str(model['type'])]
    for key in heads:
        head = class_of(MODELS, model[key], f'model.{key}')
        if not issubclass(head, _TELLING) or issubclass(head, _NOT_TELLING):
            found.append(name_of(model[key]))
    ours = [kind.split('.')[-1] for kind in RANGE_AWARE.values()]
    for cfg, _ in assigners(model.get('train_cfg'), ''):
        if name_of(cfg) not in (*RANGE_AWARE, *ours):
            found.append(name_of(cfg))
    return sorted(set(found))


def range_aware(assigner: dict) -> dict:
    """What changes of an assigner for it to ignore boxes by IoU."""
    if name_of(assigner) not in RANGE_AWARE:
        return {}
    low = assigner.get('neg_iou_thr', IGNORE_IOU)
    change = dict(
        type=RANGE_AWARE[name_of(assigner)],
        ignore_iou_thr=max(
            IGNORE_IOU, *(low if isinstance(low, (list, tuple)) else [low])
        ),
    )
    # It would ignore objects in front of an ignored box, too.
    if assigner.get('ignore_iof_thr', -1) > 0:
        change['ignore_iof_thr'] = -1
    return change


def divisor(model: dict, own: int) -> int:
    """What the sides of a batch are multiples of.

    Of the strides of a head's anchors or points only those count whose maps
    a neck takes from the backbone: it makes the others of these, by
    convolutions of any size.
    """
    neck = model.get('neck') or {}
    neck = neck[0] if isinstance(neck, (list, tuple)) else neck
    taken = neck.get('in_channels')
    if isinstance(taken, (list, tuple)):
        taken = len(taken) - neck.get('start_level', 0)
    else:
        taken = None
    largest = [
        max(stride) if isinstance(stride, (list, tuple)) else stride
        for key in _HEADS
        for part in dicts(model.get(key))
        if isinstance(part.get('strides'), (list, tuple))
        for stride in part['strides'][:taken]
    ]
    return math.lcm(own, DIVISOR, int(max(largest, default=1)))


def classes_of_heads(model: dict) -> set[int]:
    """How many classes the heads of a detector tell apart."""
    heads = [
        part
        for key, value in model.items()
        if key in ('bbox_head', 'mask_head', 'roi_head')
        for part in dicts(value)
    ]
    found = {head.get('num_classes') for head in heads}
    return {number for number in found if isinstance(number, int)}


def trained_norms(model: dict) -> list[str]:
    """Modules of a detector whose batch norm is trained."""
    return [
        key
        for key, value in model.items()
        for part in dicts(value)
        if 'BN' in str((part.get('norm_cfg') or {}).get('type'))
        and part['norm_cfg'].get('requires_grad', True)
        and not part.get('norm_eval', False)
    ]


def level_test_cfg(cfg: dict) -> tuple[dict, dict, str]:
    """What a test_cfg becomes when an image has levels.

    NMS of a level only takes out doubles; a detector without NMS stays as it
    is.

    Returns:
        tuple: Changes of the test_cfg, what the pyramid takes over of it, and
        what that replaces, in words.
    """
    changes, own = {}, cfg
    if 'rcnn' in cfg:
        own = cfg['rcnn'] or {}
        if (cfg.get('rpn') or {}).get('max_per_img', 0) > MOST_OF_LEVEL:
            changes['rpn'] = dict(max_per_img=MOST_OF_LEVEL)
    most, nms = own.get('max_per_img'), own.get('nms')
    merging = {} if most is None else dict(max_per_img=most)
    if nms is None:
        return changes, merging, ''
    change, replaced = {}, []
    if own.get('score_thr', 0) > LEVEL_SCORE:
        change['score_thr'] = LEVEL_SCORE
        replaced.append(f'score_thr={own["score_thr"]} is {LEVEL_SCORE} now')
    change['nms'] = dict(type='nms', iou_threshold=LEVEL_IOU)
    if change['nms'] != nms:
        inner = ', '.join(f'{key}={value!r}' for key, value in nms.items())
        replaced.append(f'nms=dict({inner}) is one at an IoU of {LEVEL_IOU}')
    if not {'type', 'iou_threshold'}.issuperset(nms):
        change['nms']['_delete_'] = True
    if nms.get('class_agnostic'):
        change['nms']['class_agnostic'] = True
        merging['merge'] = dict(SOFT_NMS, class_agnostic=True)
    if most is not None and 0 <= most < MOST_OF_LEVEL:
        change['max_per_img'] = MOST_OF_LEVEL
    if 'rcnn' in cfg:
        changes['rcnn'] = change
    else:
        changes = change
    return changes, merging, ' and '.join(replaced)
