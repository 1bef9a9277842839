"""Which boxes a detector can ignore, neither as objects nor as background.

A chip shows boxes that it does not train; heads tell their assigners of them.
"""

from mmdet.models import dense_heads as dense
from mmdet.models import roi_heads as roi
from mmdet.registry import MODELS

from sniper_mmdet.utils.config_text import call, comment

from .draft import Draft
from .rules import HEADS, class_of, name_of, names, walk

#: Heads that tell their assigners which boxes to ignore; others read only
#: what is to be found, whatever train_cfg says.
_TELLING = (
    dense.AnchorHead,
    dense.RepPointsHead,
    roi.CascadeRoIHead,
    roi.StandardRoIHead,
)
#: VFNetHead tells them, and then learns from all scores alike: ours does not.
_NOT_TELLING = dense.FreeAnchorRetinaHead, dense.VFNetHead, roi.SparseRoIHead
#: Heads of which this package has one that ignores what nobody tells.
RANGE_AWARE_HEADS = {
    getattr(dense, f'{kind}Head'): f'sniper_mmdet.RangeAware{kind}Head'
    for kind in (
        'BoxInstBbox CondInstBbox ConditionalDETR DABDETR DeformableDETR '
        'DETR DINO FCOS Fovea NASFCOS VFNet YOLOV3 YOLOX'
    ).split()
}
#: Assigners of which this package has one that ignores by IoU.
RANGE_AWARE = {
    f'{kind}Assigner': f'sniper_mmdet.RangeAware{ours}Assigner'
    for kind, ours in dict(
        MaxIoU='',
        ATSS='ATSS',
        DynamicSoftLabel='DynamicSoftLabel',
        SimOTA='SimOTA',
        TaskAligned='TaskAligned',
        Uniform='Uniform',
    ).items()
}
#: IoU with an ignored box above which nothing is background, at least: of
#: SNIP, and higher where an assigner calls more background.
IGNORE_IOU = 0.3


def training(draft: Draft) -> tuple[str, dict, dict]:
    """Lets a detector ignore the boxes that a chip does not train.

    Returns:
        tuple: Statements that change assigners, if any; what changes of the
        model's heads; and the transform that cuts chips: it drops those boxes
        where a head cannot ignore them.
    """
    cut = dict(type='sniper_mmdet.CutChip')
    if cannot := without_ignoring(draft.cfg.model):
        draft.note(
            f'{names(cannot)} cannot ignore a box: one that a chip shows but '
            "does not train is background (out_of_range='drop'); 'keep' "
            'would train it.'
        )
        return '', {}, dict(cut, out_of_range='drop')
    lines = []
    for cfg, path in assigners(draft.cfg.model.get('train_cfg'), '_training'):
        change = range_aware(cfg)
        if change:
            lines.append(call(f'{path}.update', **change))
        if 'ignore_iof_thr' in change:
            draft.note(
                f'ignore_iof_thr={cfg["ignore_iof_thr"]} of {name_of(cfg)} is '
                'off: it would ignore objects in front of an ignored box, '
                'too.'
            )
    if lines:
        why = (
            'What resembles a box that a chip does not train is neither '
            'object nor background.'
        )
        lines[:0] = [comment(why), '_training = _base_.model.train_cfg']
    return '\n'.join(lines), range_aware_heads(draft.cfg.model), cut


def assigners(part, path: str) -> list[tuple[dict, str]]:
    """Assigners of a train_cfg, and the expression that names each."""
    return [pair for pair in walk(part, path) if pair[1].endswith('assigner')]


def without_ignoring(model: dict) -> list[str]:
    """What of a detector trains an ignored box as background.

    Heads that do not tell their assigners of one, and assigners that none of
    this package replaces; the detector itself where neither is known.
    """
    found, heads = [], _heads(model)
    if not heads:
        found = [str(model['type'])]
    ours = {*RANGE_AWARE_HEADS.values()}
    for key, head in heads.items():
        told = issubclass(head, _TELLING) and not issubclass(
            head, _NOT_TELLING
        )
        # One of Soft Sampling inherits from one that ignores.
        named = {f'sniper_mmdet.{one.__name__}' for one in head.__mro__}
        if not (told or head in RANGE_AWARE_HEADS or named & ours):
            found.append(name_of(model[key]))
    # Of these, the head decides.
    known = {'GridAssigner', 'HungarianAssigner', *RANGE_AWARE}
    if dense.RepPointsHead in heads.values():
        # By it RepPoints learns where objects are, and not what is one.
        known.add('PointAssigner')
    known.update(name_of(dict(type=kind)) for kind in RANGE_AWARE.values())
    used = {name_of(cfg) for cfg, _ in assigners(model.get('train_cfg'), '')}
    return sorted({*found, *used.difference(known)})


def range_aware_heads(model: dict) -> dict[str, dict]:
    """What changes of a detector's heads for them to ignore boxes."""
    return {
        key: dict(type=RANGE_AWARE_HEADS[head])
        for key, head in _heads(model).items()
        if head in RANGE_AWARE_HEADS
    }


def _heads(model: dict) -> dict[str, type]:
    """The classes of a detector's heads, by their keys."""
    return {
        key: class_of(MODELS, model[key], f'model.{key}')
        for key in HEADS
        if model.get(key)
    }


def range_aware(assigner: dict) -> dict:
    """What changes of an assigner for it to ignore boxes by IoU."""
    if name_of(assigner) not in RANGE_AWARE:
        return {}
    low = assigner.get('neg_iou_thr', IGNORE_IOU)
    lows = low if isinstance(low, (list, tuple)) else [low]
    change = dict(type=RANGE_AWARE[name_of(assigner)])
    change['ignore_iou_thr'] = max(IGNORE_IOU, *lows)
    # It would ignore objects in front of an ignored box, too.
    if assigner.get('ignore_iof_thr', -1) > 0:
        change['ignore_iof_thr'] = -1
    return change
