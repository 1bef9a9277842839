"""Data sets of mmdet read their annotations, checked, and what is left out."""

import inspect
from collections.abc import Callable

from mmengine.logging import print_log

from sniper_mmdet.registry import DATASETS
from sniper_mmdet.utils.image import image_size

from .annotations import read_annotations
from .classes import classes_of, parts_of
from .coco_reader import CocoReader, reads_coco
from .voc_reader import VOCReader, reads_voc

#: From the path of an image to its width and height, or (0, 0).
Measure = Callable[[str], tuple[int, int]]


def build_unread(config: dict):
    """Build a data set that has read nothing yet, if its class can wait."""
    config = _unread(config)
    return read_annotations(config, DATASETS.build, config)


def build_read(config: dict):
    """Build a data set that has read its annotations, checked.

    Raises:
        OSError: There is no such file, or no header of an image that has no
            size there.
        ValueError: What is wrong, with its file and place.
    """
    dataset = build_unread(config)
    if hasattr(dataset, 'mine'):  # a ChipDataset has it read in its own way
        return DATASETS.build(config)
    for sentence in read_dataset(dataset, image_size):
        print_log(sentence, 'current')
    return dataset


def _unread(config: dict) -> dict:
    config = dict(config)
    for key, value in config.items():
        if key == 'dataset' and isinstance(value, dict):
            config[key] = _unread(value)
        elif key == 'datasets' and isinstance(value, (list, tuple)):
            config[key] = [
                _unread(inner) if isinstance(inner, dict) else inner
                for inner in value
            ]
    kind = config.get('type')
    if isinstance(kind, str):
        scope = config.get('_scope_')
        with DATASETS.switch_scope_and_registry(scope) as registry:
            kind = registry.get(kind)
    if inspect.isclass(kind) and _takes(kind, 'lazy_init'):
        config['lazy_init'] = True
    return config


def _takes(kind: type, name: str) -> bool:
    """Whether a class has an argument, or one that it hands keywords to."""
    for parent in kind.__mro__:
        if '__init__' in vars(parent):
            given = inspect.signature(parent.__init__).parameters
            if name in given:
                return True
            kinds = [parameter.kind for parameter in given.values()]
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                return False
    return False


def read_dataset(dataset, measure: Measure) -> list[str]:
    """Have a data set read its annotations, and tell what is left out.

    Args:
        dataset (BaseDataset): Any, or a wrapper of others.
        measure (Callable): From the path of an image that has no size in its
            annotation to its width and height; (0, 0) where it cannot tell.

    Returns:
        list[str]: Sentences on what is left out.

    Raises:
        ValueError: What is wrong, with its file and place.
    """
    told = []
    for single in parts_of(dataset):
        if hasattr(single, 'cat2label'):
            continue  # it has been read
        classes_of(single)  # a text, whose letters mmdet reads for names
        if reads_coco(single):
            told += CocoReader(single, measure).read()
        elif reads_voc(single):
            told += VOCReader(single, measure).read()
    if hasattr(dataset, 'full_init'):
        read_annotations(dataset, dataset.full_init)
    return told
