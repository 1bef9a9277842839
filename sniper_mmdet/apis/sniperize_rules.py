"""What sniperize knows of MMDetection: its transforms, assigners, detectors.

Types are told by the names that a config calls them by.
"""

import math
from collections.abc import Iterator

from mmdet import datasets as mmdet_datasets
from mmdet.models import BaseDetector, dense_heads, detectors, roi_heads
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.registry import Registry

from sniper_mmdet.models.detectors.pyramid_detector import SOFT_NMS

#: Why a detector cannot be wrapped, by the class that it is of.
REFUSED = dict(
    SemiBaseDetector='it trains on labelled and unlabelled branches of '
    'images, and chips have one',
    KnowledgeDistillationSingleStageDetector='its teacher is none of its '
    'modules, and would stay on the CPU when the wrapper is moved to a GPU',
    TwoStagePanopticSegmentor='it predicts panoptic segments, and levels of '
    'a pyramid are merged by boxes',
    GLIP='it looks for what a text names, and levels come without a text',
    GroundingDINO='it looks for what a text names, and levels come without '
    'a text',
    SOLO='its masks come without boxes, by which valid ranges and the merge '
    'of levels go',
    SOLOv2='its masks come without boxes, by which valid ranges and the '
    'merge of levels go',
    FastRCNN='it takes its proposals from a file, and chips carry none',
    Detectron2Wrapper='a model of detectron2 does its own preprocessing, '
    'where chips and levels are to be padded',
    CLRNet='it predicts lanes, not boxes',
    RPN="an RPN alone is a two-stage detector's config with "
    'model.rpn_only=True, as in configs/sniper/rpn_*.py',
)
#: Parts of a config that are one dict each, where they are there.
DICTS = (
    'data_preprocessor',
    'model',
    'model.backbone',
    'model.bbox_head',
    'model.data_preprocessor',
    'model.roi_head',
    'model.rpn_head',
    'model.test_cfg',
    'model.test_cfg.nms',
    'model.test_cfg.rcnn',
    'model.test_cfg.rcnn.nms',
    'model.test_cfg.rpn',
    'model.train_cfg',
    'optim_wrapper',
    'train_cfg',
    *(
        f'{split}_dataloader{part}'
        for split in ('train', 'val', 'test')
        for part in ('', '.dataset')
    ),
)
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

#: Transforms that leave boxes and the size of a chip as they are, or move
#: boxes along.
KEPT = (
    'AutoContrast',
    'Brightness',
    'Color',
    'ColorTransform',
    'Contrast',
    'Corrupt',
    'CutOut',
    'Equalize',
    'Invert',
    'PhotoMetricDistortion',
    'Posterize',
    'RandomFlip',
    'RandomGrayscale',
    'Sharpness',
    'Solarize',
    'SolarizeAdd',
    'YOLOXHSVRandomAug',
)
#: Transforms that levels leave nothing to do for in a test.
OF_LEVELS = (
    'CenterCrop',
    'FixScaleResize',
    'FixShapeResize',
    'Pad',
    'RandomFlip',
    'Resize',
    'ResizeShortestEdge',
)
#: Of transforms: what another one holds.
NESTED = ('RandomApply', 'RandomChoice', 'RandomOrder')
#: Why there are no chips of what a transform loads.
UNCUT = dict(
    LoadPanopticAnnotations='panoptic segments',
    LoadProposals='proposals',
    LoadTextAnnotations='texts',
)
#: What a test pipeline knows of an image only after a Resize, Pad or flip.
OF_RESIZED = (
    'border',
    'flip',
    'flip_direction',
    'pad_shape',
    'scale_factor',
)
#: Data sets around one whose images a ChipDataset takes itself.
AROUND = ('RepeatDataset', 'MultiImageMixDataset')
#: Hooks of what is no more: pipelines to switch.
SWITCHES = ('PipelineSwitchHook', 'YOLOXModeSwitchHook')

#: Data sets that hold no boxes of single images, and what they hold.
_NO_BOXES = dict(
    BaseVideoDataset='videos',
    CocoPanopticDataset='panoptic segments',
    ODVGDataset='texts',
    ReIDDataset='identities',
)
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


def name_of(cfg: dict) -> str:
    """The type of a part of a config, without its scope."""
    kind = cfg.get('type', '')
    return getattr(kind, '__name__', str(kind)).split('.')[-1]


def names(values: list[str]) -> str:
    """Each name once, as they come."""
    return ', '.join(dict.fromkeys(values))


def class_of(registry: Registry, cfg: dict, field: str) -> type:
    """The class that a part of a config is built of.

    Raises:
        ValueError: Nothing of that name is registered.
    """
    kind = cfg.get('type')
    if isinstance(kind, type):
        return kind
    found = None
    if kind:
        with registry.switch_scope_and_registry(None) as scoped:
            found = scoped.get(kind)
    if found is None:
        raise ValueError(
            f'{field}.type must name what is registered; does the config '
            f'lack custom_imports? Received: {kind!r}.'
        )
    return found


def refuse_shapes(cfg: Config) -> None:
    """Raises ValueError where a dict or a list is something else."""
    wanted = [(path, dict) for path in DICTS] + [('custom_hooks', list)]
    for path, kind in sorted(wanted):
        part = cfg
        for key in path.split('.'):
            part = (part or {}).get(key)
        if part is not None and not isinstance(part, kind):
            raise ValueError(
                f'{path} must be a {kind.__name__}. '
                f'Received: {type(part).__name__}.'
            )


def refuse_detector(model: dict) -> None:
    """Raises ValueError, with the reason, for what no pyramid can wrap."""
    if not model:
        raise ValueError('the config has no model.')
    if name_of(model) in ('PyramidDetector', 'AutoFocus'):
        raise ValueError(f'the config has a {name_of(model)} already.')
    found = class_of(MODELS, model, 'model')
    reason = None
    if not issubclass(found, BaseDetector):
        reason = 'it is no detector of single images (BaseDetector)'
    for name, why in REFUSED.items():
        if hasattr(detectors, name):
            if issubclass(found, getattr(detectors, name)):
                reason = why
    head = model.get('panoptic_head') or {}
    if head.get('num_stuff_classes'):
        reason = REFUSED['TwoStagePanopticSegmentor']
    if name_of(model.get('bbox_head') or {}) == 'CenterNetHead':
        reason = (
            'its CenterNetHead needs the border that RandomCenterCropPad '
            'puts around a test image, and levels have none'
        )
    if reason:
        raise ValueError(
            f'{model["type"]} cannot be trained on chips: {reason}.'
        )


def refuse_data(data: dict) -> None:
    """Raises ValueError for a data set that has no boxes to cut around."""
    found = class_of(DATASETS, data, 'train_dataloader.dataset')
    for name, what in _NO_BOXES.items():
        if issubclass(found, getattr(mmdet_datasets, name, ())):
            raise ValueError(
                f'{data["type"]} cannot be cut into chips: it holds {what}, '
                'not boxes of images.'
            )


def pipeline_ends(
    pipeline: list[dict], split: str
) -> tuple[list[dict], list[dict]]:
    """Copies of the transforms that load, and of those that pack.

    Raises:
        ValueError: There are none, or they load what no chip can have.
    """
    pipeline = [dict(step) for step in pipeline]
    loading = [s for s in pipeline if name_of(s).startswith('Load')]
    packing = [s for s in pipeline if name_of(s).startswith('Pack')]
    for step in loading:
        what = UNCUT.get(name_of(step))
        if split == 'train' and step.get('with_seg'):
            what = 'segmentation maps (with_seg)'
        if what:
            raise ValueError(
                f'{step["type"]} of the {split} pipeline loads {what}, which '
                'chips and levels do not have.'
            )
        # Levels are resized and chips are cut of uint8; the values are alike.
        step.pop('to_float32', None)
    if not loading or not packing:
        raise ValueError(
            f'the {split} pipeline must load (Load...) and pack (Pack...). '
            f'Received: {[name_of(step) for step in pipeline]}.'
        )
    return loading, packing


def is_kept(step: dict) -> bool:
    """Whether a transform does to a chip what it did to an image."""
    if name_of(step) in NESTED:
        return all(map(is_kept, dicts(step.get('transforms'))))
    return name_of(step) in KEPT


def dicts(part) -> Iterator[dict]:
    """All parts of a config that have a type, outer ones first."""
    if isinstance(part, dict):
        if 'type' in part:
            yield part
        part = list(part.values())
    if isinstance(part, (list, tuple)):
        for one in part:
            yield from dicts(one)


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


def leaves(data: dict, path: str) -> Iterator[tuple[dict, str]]:
    """Data sets inside of others, and the path of each."""
    if 'datasets' in data:
        for i, part in enumerate(data['datasets']):
            yield from leaves(part, f'{path}.datasets[{i}]')
    elif 'dataset' in data:
        yield from leaves(data['dataset'], f'{path}.dataset')
    else:
        yield data, path


def classes_of(data: dict) -> int | None:
    """How many classes a data set names, if it does."""
    classes = (data.get('metainfo') or {}).get('classes')
    if classes is None:
        found = class_of(DATASETS, data, 'train_dataloader.dataset')
        classes = getattr(found, 'METAINFO', {}).get('classes')
    return len(classes) if isinstance(classes, (list, tuple)) else None


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
