"""What sniperize knows of MMDetection: its transforms, assigners, detectors.

Types are told by the names that a config calls them by.
"""

from collections.abc import Iterator
from copy import deepcopy

import torch
from mmdet import datasets as mmdet_datasets
from mmdet.models import BaseDetector, detectors
from mmdet.registry import DATASETS, MODELS
from mmengine.registry import Registry
from torch import nn

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
)
#: Heads that ignore no box, whatever their train_cfg says.
NEVER_IGNORE = ('FreeAnchorRetinaHead',)
#: What makes an assigner ignore boxes; an empty dict: it does by itself.
IGNORING = dict(
    MaxIoUAssigner=dict(type='sniper_mmdet.RangeAwareAssigner'),
    ATSSAssigner=dict(ignore_iof_thr=0.5),
    ApproxMaxIoUAssigner=dict(ignore_iof_thr=0.5),
    CenterRegionAssigner={},
    MultiInstanceAssigner={},
    RangeAwareAssigner={},
)

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
#: Transforms whose work chips and levels do, or that undo it.
REPLACED = (
    'CachedMixUp',
    'CachedMosaic',
    'CenterCrop',
    'CopyPaste',
    'Expand',
    'FilterAnnotations',
    'FixScaleResize',
    'FixShapeResize',
    'GeomTransform',
    'InstaBoost',
    'MinIoURandomCrop',
    'MixUp',
    'Mosaic',
    'Pad',
    'RandomAffine',
    'RandomCenterCropPad',
    'RandomChoiceResize',
    'RandomCrop',
    'RandomResize',
    'RandomShift',
    'Resize',
    'ResizeShortestEdge',
    'Rotate',
    'ShearX',
    'ShearY',
    'TranslateX',
    'TranslateY',
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
# Pixels that feature maps are looked at with: strides up to 128 divide them.
_PROBE = 256


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


def is_replaced(step: dict) -> bool:
    """Whether chips and levels do a transform's work, at least in part."""
    if name_of(step) in NESTED:
        inner = list(dicts(step.get('transforms')))
        return all(is_kept(one) or is_replaced(one) for one in inner)
    return name_of(step) in (*REPLACED, *KEPT)


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


def level_test_cfg(cfg: dict) -> tuple[dict, int]:
    """Changes of a detector's test_cfg, and how many it keeps an image.

    NMS of a level only takes out doubles; a detector without NMS stays as it
    is.
    """
    changes, own = {}, cfg
    if 'rcnn' in cfg:
        own = cfg['rcnn'] or {}
        if (cfg.get('rpn') or {}).get('max_per_img', 0) > MOST_OF_LEVEL:
            changes['rpn'] = dict(max_per_img=MOST_OF_LEVEL)
    most = own.get('max_per_img', 0)
    nms = own.get('nms')
    if nms is None:
        return changes, most
    change = {}
    if own.get('score_thr', 0) > 0.001:
        change['score_thr'] = 0.001
    change['nms'] = dict(type='nms', iou_threshold=0.7)
    if not {'type', 'iou_threshold'}.issuperset(nms):
        change['nms']['_delete_'] = True
    if nms.get('class_agnostic'):
        change['nms']['class_agnostic'] = True
    if most < MOST_OF_LEVEL and 'max_per_img' in own:
        change['max_per_img'] = MOST_OF_LEVEL
    if 'rcnn' in cfg:
        changes['rcnn'] = change
    else:
        changes = change
    return changes, most


def feature_maps(model: dict) -> tuple[str, list[tuple[int, int]]]:
    """Channels and stride of each map that a detector's heads see.

    The detector is built, without weights, and its features of empty images
    are looked at.

    Returns:
        tuple: The module that they come from, 'neck' or 'backbone', and its
        maps.

    Raises:
        ValueError: It cannot be built or run here, or gives something else.
    """
    seen = []
    try:
        with torch.random.fork_rng(devices=[]):
            detector = MODELS.build(without_weights(model))
        name = 'backbone'
        if isinstance(getattr(detector, 'neck', None), nn.Module):
            name = 'neck'
        module = getattr(detector, name)
        module.register_forward_hook(lambda *args: seen.append(args[-1]))
        with torch.no_grad():
            # As in training: some detectors then have more maps, and batch
            # norm takes more than one image.
            detector.train()
            detector.extract_feat(torch.zeros(2, 3, _PROBE, _PROBE))
    except Exception as error:  # a detector is a program
        lines = str(error).strip().splitlines() or ['']
        raise ValueError(
            f'the feature maps of {model["type"]} are not known, since it '
            f'cannot be run here: {type(error).__name__}: {lines[0]}'
        ) from error
    maps = seen[-1] if seen else None
    maps = [maps] if isinstance(maps, torch.Tensor) else maps
    if not isinstance(maps, (list, tuple)) or not all(
        isinstance(m, torch.Tensor) and m.ndim == 4 and len(m) == 2
        for m in maps
    ):
        raise ValueError(
            f'a focus head cannot see the {name} of {model["type"]}, which '
            'does not give one feature map a level and image.'
        )
    return name, [(m.shape[1], round(_PROBE / m.shape[-1])) for m in maps]


def without_weights(part):
    """A copy of a config that loads and downloads nothing when built."""
    if isinstance(part, dict):
        return type(part)(
            {
                key: None
                if key in ('init_cfg', 'pretrained')
                else without_weights(value)
                for key, value in part.items()
            }
        )
    if isinstance(part, (list, tuple)):
        return type(part)(without_weights(value) for value in part)
    return deepcopy(part)
