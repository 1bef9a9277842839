"""Rules on what sniperize refuses and keeps of MMDetection's configs.

Types are identified by their names in a config.
"""

from collections.abc import Iterable, Iterator

from mmdet import datasets as mmdet_datasets
from mmdet.models import BaseDetector, detectors
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.registry import Registry

from sniper_mmdet.utils.type_names import name_of

#: Transforms of a pipeline.
Steps = list[dict]
#: Why a detector cannot be wrapped, by its classes.
REFUSED = {
    'SemiBaseDetector': 'it trains on labelled and unlabelled branches of '
    'images, and chips have one',
    'KnowledgeDistillationSingleStageDetector': 'its teacher is none of its '
    'modules, and would stay on the CPU when the wrapper is moved to a GPU',
    'TwoStagePanopticSegmentor': 'it predicts panoptic segments, and levels '
    'of a pyramid are merged by boxes',
    'GLIP GroundingDINO': 'it looks for what a text names, and levels come '
    'without a text',
    'SOLO SOLOv2': 'its masks come without boxes, by which valid ranges and '
    'the merge of levels go',
    'FastRCNN': 'it takes its proposals from a file, and chips carry none',
    'Detectron2Wrapper': 'a model of detectron2 does its own preprocessing, '
    'where chips and levels are to be padded',
    'CLRNet': 'it predicts lanes, not boxes',
    'RPN': '--cfg-options model.rpn_only=True makes an RPN alone from the '
    "two-stage detector's config",
}
#: Keys of a detector's heads.
HEADS = ('bbox_head', 'panoptic_head', 'query_head', 'roi_head', 'rpn_head')
#: Parts of a config that must be dicts, if they exist.
DICTS = (
    'data_preprocessor model model.backbone model.bbox_head '
    'model.data_preprocessor model.roi_head model.rpn_head model.test_cfg '
    'model.test_cfg.nms model.test_cfg.rcnn model.test_cfg.rcnn.nms '
    'model.test_cfg.rpn model.train_cfg optim_wrapper train_cfg '
    'train_dataloader train_dataloader.dataset val_dataloader '
    'val_dataloader.dataset test_dataloader test_dataloader.dataset'
).split()
#: Transforms that keep the size of a chip and keep or move its boxes.
KEPT = (
    'AutoContrast Brightness Color ColorTransform Contrast Corrupt CutOut '
    'Equalize Invert PhotoMetricDistortion Posterize RandomFlip '
    'RandomGrayscale Sharpness Solarize SolarizeAdd YOLOXHSVRandomAug'
).split()
#: Test transforms that levels make unnecessary.
OF_LEVELS = (
    'CenterCrop FixScaleResize FixShapeResize Pad RandomFlip Resize '
    'ResizeShortestEdge'
).split()
#: Keys of transforms that hold other transforms.
NESTED = ('RandomApply', 'RandomChoice', 'RandomOrder')
#: Data that a transform loads and that chips do not have.
UNCUT = dict(
    LoadPanopticAnnotations='panoptic segments',
    LoadProposals='proposals',
    LoadTextAnnotations='texts',
)
#: Metainfo that an image has only after a Resize, Pad or flip.
OF_RESIZED = ('border', 'flip', 'flip_direction', 'pad_shape', 'scale_factor')
#: Wrappers of data sets, of which only the inner data set is used.
AROUND = ('ChipDataset', 'MultiImageMixDataset', 'RepeatDataset')
#: Hooks that switch pipelines, which chips do not have.
SWITCHES = ('PipelineSwitchHook', 'YOLOXModeSwitchHook')

#: Data sets without boxes of single images, and their content.
_NO_BOXES = dict(
    BaseVideoDataset='videos',
    CocoPanopticDataset='panoptic segments',
    ODVGDataset='texts',
    ReIDDataset='identities',
)


def names(values: Iterable[str]) -> str:
    """Join names, each once, in their order."""
    return ', '.join(dict.fromkeys(values))


def class_of(registry: Registry, cfg: dict, field: str) -> type:
    """Return the class of a part of a config.

    Raises:
        ValueError: The type is not registered.
    """
    kind = cfg.get('type')
    if isinstance(kind, type):
        return kind
    with registry.switch_scope_and_registry(None) as scoped:
        found = scoped.get(kind) if kind else None
    if found is None:
        raise ValueError(
            f'{field}.type must be a registered type; does the config '
            f'lack custom_imports? Received: {kind!r}.'
        )
    return found


def refuse_shapes(cfg: Config) -> None:
    """Raise ValueError if a part is not the dict or list that it must be."""
    for path in sorted([*DICTS, 'custom_hooks']):
        part, kind = cfg, list if path == 'custom_hooks' else dict
        for key in path.split('.'):
            part = (part or {}).get(key)
        if part is not None and not isinstance(part, kind):
            raise ValueError(
                f'{path} must be a {kind.__name__}. '
                f'Received: {type(part).__name__}.'
            )


def refuse_detector(model: dict) -> None:
    """Raise ValueError, with the reason, for an unsuitable model."""
    if not model:
        raise ValueError('the config has no model.')
    if (kind := name_of(model)) in ('PyramidDetector', 'AutoFocus'):
        text = f"the config's model is {kind} already."
        if kind == 'AutoFocus':
            text += ' To tune it by tools/analysis_tools/tune.py needs no '
            text += 'training.'
        raise ValueError(text)
    found = class_of(MODELS, model, 'model')
    reason = ''
    if not issubclass(found, BaseDetector):
        reason = 'it is no detector of single images (BaseDetector)'
    for kinds, why in REFUSED.items():
        for name in kinds.split():
            if issubclass(found, getattr(detectors, name, ())):
                reason = why
    if (model.get('panoptic_head') or {}).get('num_stuff_classes'):
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
    """Raise ValueError for a data set without boxes."""
    found = class_of(DATASETS, data, 'train_dataloader.dataset')
    for name, what in _NO_BOXES.items():
        if issubclass(found, getattr(mmdet_datasets, name, ())):
            raise ValueError(
                f'{data["type"]} cannot be cut into chips: it holds {what}, '
                'not boxes of images.'
            )


def parts_of(pipeline: Steps, split: str) -> tuple[Steps, Steps, Steps]:
    """Split a pipeline into copies of loading, other and packing transforms.

    Raises:
        ValueError: No transform loads or packs, or one loads data that chips
            do not have.
    """
    loading, others, packing = [], [], []
    for step in pipeline:
        ends = dict(Load=loading, Pack=packing)
        ends.get(name_of(step)[:4], others).append(dict(step))
    for step in loading:
        what = UNCUT.get(name_of(step))
        if split == 'train' and step.get('with_seg'):
            what = 'segmentation maps (with_seg)'
        if what:
            raise ValueError(
                f'{step["type"]} of the {split} pipeline loads {what}, which '
                'chips and levels do not have.'
            )
        # Levels and chips come from uint8 images; the values are the same.
        step.pop('to_float32', None)
    if not loading or not packing:
        raise ValueError(
            f'the {split} pipeline must load (Load...) and pack (Pack...). '
            f'Received: {[name_of(step) for step in pipeline]}.'
        )
    return loading, others, packing


def is_kept(step: dict) -> bool:
    """Whether a transform works on a chip as it does on an image."""
    if name_of(step) in NESTED:
        return all(map(is_kept, dicts(step.get('transforms'))))
    return name_of(step) in KEPT


def walk(part, path: str = '') -> Iterator[tuple[dict, str]]:
    """Yield all dicts of a part, outer ones first, and their paths."""
    inner = []
    if isinstance(part, dict):
        yield part, path
        inner = [(f'{path}.{key}', value) for key, value in part.items()]
    elif isinstance(part, (list, tuple)):
        inner = [(f'{path}[{i}]', value) for i, value in enumerate(part)]
    for where, value in inner:
        yield from walk(value, where)


def dicts(part) -> list[dict]:
    """Return all parts of a config that have a type, outer ones first."""
    return [one for one, _ in walk(part) if 'type' in one]


def leaves(data: dict, path: str) -> Iterator[tuple[dict, str]]:
    """Yield the innermost data sets, and their paths."""
    if 'datasets' in data:
        for i, part in enumerate(data['datasets']):
            yield from leaves(part, f'{path}.datasets[{i}]')
    elif 'dataset' in data:
        yield from leaves(data['dataset'], f'{path}.dataset')
    else:
        yield data, path


def classes_of(data: dict) -> int | None:
    """Return the number of classes that a data set names, or None."""
    classes = (data.get('metainfo') or {}).get('classes')
    if classes is None:
        found = class_of(DATASETS, data, 'train_dataloader.dataset')
        classes = getattr(found, 'METAINFO', {}).get('classes')
    return len(classes) if isinstance(classes, (list, tuple)) else None
