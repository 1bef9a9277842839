"""Whether and how a detector can ignore boxes that a chip does not train.

Ignored boxes are neither objects nor background. Heads pass them to their
assigners.
"""

from mmdet.models import dense_heads as dense
from mmdet.models import roi_heads as roi
from mmdet.registry import MODELS

from sniper_mmdet.utils.config_text import call, comment
from sniper_mmdet.utils.type_names import name_of

from .draft import Draft
from .rules import HEADS, class_of, names, walk

#: Heads that pass ignored boxes to their assigners; other heads read objects
#: only, whatever train_cfg says.
_TELLING = (
    dense.AnchorHead,
    dense.RepPointsHead,
    dense.SABLRetinaHead,
    roi.CascadeRoIHead,
    roi.StandardRoIHead,
)
#: These pass them on, but learn from all scores or places, or read none. A
#: head that inherits from one of them is not known.
_NOT_TELLING = (
    dense.FreeAnchorRetinaHead,
    dense.GuidedAnchorHead,
    dense.VFNetHead,
    roi.MultiInstanceRoIHead,
    roi.SparseRoIHead,
)
#: Heads without a loss.
_SILENT = (dense.EmbeddingRPNHead,)
#: Heads for which this package has a variant that ignores boxes itself.
RANGE_AWARE_HEADS = {
    getattr(dense, f'{kind}Head'): f'sniper_mmdet.RangeAware{kind}Head'
    for kind in (
        'AutoAssign BoxInstBbox CascadeRPN CenterNetUpdate Centripetal '
        'CondInstBbox ConditionalDETR Corner DABDETR DDQDETR DeformableDETR '
        'DETR DINO FCOS Fovea FreeAnchorRetina GARetina GARPN Mask2Former '
        'MaskFormer NASFCOS VFNet YOLOV3 YOLOX'
    ).split()
} | {
    getattr(roi, f'{kind}RoIHead'): f'sniper_mmdet.RangeAware{kind}RoIHead'
    for kind in ('MultiInstance', 'Sparse')
}
#: Assigners for which this package has a variant that ignores by IoU.
RANGE_AWARE = {
    f'{kind}Assigner': f'sniper_mmdet.RangeAware{ours}Assigner'
    for kind, ours in dict(
        MaxIoU='',
        ApproxMaxIoU='ApproxMaxIoU',
        ATSS='ATSS',
        CenterRegion='CenterRegion',
        DynamicSoftLabel='DynamicSoftLabel',
        MultiInstance='MultiInstance',
        Region='Region',
        SimOTA='SimOTA',
        TaskAligned='TaskAligned',
        Uniform='Uniform',
    ).items()
}
#: Those of them that go by places, without an IoU.
_BY_PLACE = ('CenterRegionAssigner', 'RegionAssigner')
#: Least ignore_iou_thr, that of SNIP; higher if an assigner calls boxes of a
#: higher IoU background.
IGNORE_IOU = 0.3


def training(draft: Draft) -> tuple[str, dict, dict]:
    """Let a detector ignore the boxes that a chip does not train.

    Returns:
        tuple: Statements that change assigners, if any; changes of the model's
        heads; and the transform that cuts chips, which drops those boxes if a
        head cannot ignore them.
    """
    cut = dict(type='sniper_mmdet.CutChip')
    if cannot := without_ignoring(draft.cfg.model):
        draft.note(
            f'{names(cannot)} cannot ignore a box: a box that a chip shows '
            "but does not train is background (out_of_range='drop'); 'keep' "
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
                'off: it would also ignore objects in front of an ignored '
                'box.'
            )
    if lines:
        why = (
            'A box that resembles one which a chip does not train is neither '
            'object nor background.'
        )
        lines[:0] = [comment(why), '_training = _base_.model.train_cfg']
    return '\n'.join(lines), range_aware_heads(draft.cfg.model), cut


def assigners(part, path: str) -> list[tuple[dict, str]]:
    """Return the assigners of a train_cfg, with expressions for them."""
    return [pair for pair in walk(part, path) if pair[1].endswith('assigner')]


def without_ignoring(model: dict) -> list[str]:
    """Return the parts of a detector that train ignored boxes as background.

    These are heads that do not pass ignored boxes on, and assigners without a
    variant in this package; or the detector itself if neither is known.
    """
    found, heads = [], _heads(model)
    if not heads:
        found = [str(model['type'])]
    ours = {*RANGE_AWARE_HEADS.values()}
    for key, head in heads.items():
        told = issubclass(head, (*_TELLING, *_SILENT)) and not issubclass(
            head, _NOT_TELLING
        )
        # Heads of Soft Sampling inherit from heads that ignore.
        named = {f'sniper_mmdet.{one.__name__}' for one in head.__mro__}
        if not (told or head in RANGE_AWARE_HEADS or named & ours):
            found.append(name_of(model[key]))
    # For these the head decides.
    known = {'GridAssigner', 'HungarianAssigner', *RANGE_AWARE}
    if dense.RepPointsHead in heads.values():
        # RepPoints uses this assigner for places of objects, not for classes.
        known.add('PointAssigner')
    known.update(name_of(dict(type=kind)) for kind in RANGE_AWARE.values())
    used = {name_of(cfg) for cfg, _ in assigners(model.get('train_cfg'), '')}
    return sorted({*found, *used.difference(known)})


def range_aware_heads(model: dict) -> dict[str, dict]:
    """Return the changes of a detector's heads that make them ignore boxes."""
    return {
        key: dict(type=RANGE_AWARE_HEADS[head])
        for key, head in _heads(model).items()
        if head in RANGE_AWARE_HEADS
    }


def _heads(model: dict) -> dict[str, type]:
    """Return the classes of a detector's heads, by their keys."""
    return {
        key: class_of(MODELS, model[key], f'model.{key}')
        for key in HEADS
        if model.get(key)
    }


def range_aware(assigner: dict) -> dict:
    """Return the changes of an assigner that make it ignore boxes by IoU."""
    if name_of(assigner) not in RANGE_AWARE:
        return {}
    change = dict(type=RANGE_AWARE[name_of(assigner)])
    if name_of(assigner) in _BY_PLACE:
        return change
    low = assigner.get('neg_iou_thr', IGNORE_IOU)
    lows = low if isinstance(low, (list, tuple)) else [low]
    change['ignore_iou_thr'] = max(IGNORE_IOU, *lows)
    # ignore_iof_thr would also ignore objects in front of an ignored box.
    if assigner.get('ignore_iof_thr', -1) > 0:
        change['ignore_iof_thr'] = -1
    return change
