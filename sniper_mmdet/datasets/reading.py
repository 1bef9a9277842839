"""Reads the annotations of mmdet's datasets, and checks them."""

import inspect
from collections.abc import Callable

from mmengine.logging import print_log

from sniper_mmdet.registry import DATASETS
from sniper_mmdet.utils.image import image_size
from sniper_mmdet.utils.quiet import quiet

from .annotations import read_annotations
from .classes import classes_of, parts_of
from .coco_reader import CocoReader, reads_coco
from .voc_reader import VOCReader, reads_voc

#: Takes the path of an image, and returns width and height, or (0, 0).
Measure = Callable[[str], tuple[int, int]]


def build_unread(config: dict):
    """Build a dataset that has read nothing yet, if its class allows that."""
    config = _unread(config)
    return read_annotations(config, DATASETS.build, config)


def build_read(config: dict):
    """Build a dataset, and read and check its annotations.

    Raises:
        OSError: The file does not exist, or the header of an image without a
            size cannot be read.
        ValueError: The annotations are wrong; the error names file and place.
    """
    dataset = build_unread(config)
    if hasattr(dataset, 'mine'):  # a ChipDataset reads in its own way
        return DATASETS.build(config)
    with quiet():
        sentences = [*read_dataset(dataset, image_size)]
    for sentence in sentences:
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
    """Test whether a class, or one it passes keywords to, has an argument."""
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
    """Let a dataset read its annotations, and report what is left out.

    Args:
        dataset (BaseDataset): Any dataset, or a wrapper of others.
        measure (Callable): Takes the path of an image without a size in its
            annotation, and returns width and height; (0, 0) if it cannot.

    Returns:
        list[str]: Sentences about what is left out.

    Raises:
        ValueError: What is wrong, with its file and place.
    """
    told = []
    for single in parts_of(dataset):
        if hasattr(single, 'cat2label'):
            continue  # it is already read
        classes_of(single)  # mmdet reads a string's letters as names
        if reads_coco(single):
            told += CocoReader(single, measure).read()
        elif reads_voc(single):
            told += VOCReader(single, measure).read()
    if hasattr(dataset, 'full_init'):
        read_annotations(dataset, dataset.full_init)
    return told
