"""Checks that labels and class names match in datasets and their files.

mmdet's CocoDataset and CocoMetric number the labels in the order of the file's
categories that ``metainfo.classes`` names. All other code calls label k
``classes[k]``. Boxes get their right names only if both orders are the same.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from mmap import ACCESS_READ, mmap

from mmengine.fileio import get_local_path, load

from .annotations import dataset_name

#: Advice if the orders differ; takes the file.
_ONE_ORDER = (
    'Give metainfo.classes the order of the file, wherever it is named, or '
    'sort the categories of {} (their ids may stay).'
)


def check_classes(dataset) -> None:
    """Check that the labels of a dataset are the classes that it names.

    Datasets within it are checked too; all of them must name the same classes.
    mmdet's CocoDataset silently leaves out classes that its file lacks, and
    numbers the others in the order of the file.

    Args:
        dataset (BaseDataset): A dataset of mmdet, or a wrapper of others. Its
            annotations are read.

    Raises:
        ValueError: The classes differ; the error names both.
    """
    first = None
    for part in parts_of(dataset):
        classes = classes_of(part)
        # Labels as text have no numbers (GroundingDINO).
        if not classes or getattr(part, 'return_classes', False):
            continue
        _check_file(part, classes)
        first = first or (part, classes)
        if classes != first[1]:
            raise ValueError(
                'the parts of a dataset must name the same classes in one '
                f'order. Received: {first[1]} of {dataset_name(first[0])}, '
                f'and {classes} of {dataset_name(part)}.'
            )


def parts_of(dataset) -> Iterator:
    """Yield the datasets that read annotations, without their wrappers."""
    found = getattr(dataset, 'datasets', [getattr(dataset, 'dataset', None)])
    inner = [one for one in found if hasattr(one, 'metainfo')]
    for one in inner:
        yield from parts_of(one)
    if not inner:
        yield dataset


def classes_of(dataset) -> list[str]:
    """Class names of a dataset; empty if it has none.

    Raises:
        ValueError: The classes are a string instead of a list.
    """
    metainfo = getattr(dataset, 'metainfo', None) or {}
    if not isinstance(metainfo, dict):  # a list, if the parts differ
        metainfo = metainfo[0]
    classes = metainfo.get('classes') or ()
    if isinstance(classes, str):
        raise ValueError(
            f'{dataset_name(dataset)}: metainfo.classes must be a list of '
            f'names, ({classes!r},) for one class. Received: {classes!r}.'
        )
    return list(classes)


def check_order(
    classes: Sequence[str],
    categories: Sequence[str],
    known: Sequence[str],
    path: str,
) -> None:
    """Check that labels, numbered by a file's categories, have their names.

    A category whose name is no class is allowed: LVIS has other spellings.

    Args:
        classes (Sequence[str]): Names of the labels.
        categories (Sequence[str]): Names of their categories.
        known (Sequence[str]): Names of all categories of the file.
        path (str): The file.

    Raises:
        ValueError: Labels have wrong names, or a class is missing.
    """
    if list(classes) == list(categories):
        return
    unknown = [name for name in classes if name not in known]
    if unknown and len(categories) < len(classes):
        raise ValueError(
            f'metainfo names the class {unknown[0]!r}, which {path} lacks; it '
            f'has {list(known)}. metainfo=dict(classes=...) of each dataset '
            'names the classes; without it the classes are those of its type.'
        )
    for names, of in ((categories, f'{path} has'), (classes, 'metainfo has')):
        twice = [name for name, n in Counter(names).items() if n > 1]
        if twice:
            raise ValueError(
                f'{of} two categories with the name {twice[0]!r}. '
                f'Received: {list(names)}.'
            )
    if moved(classes, categories):
        raise ValueError(
            f'the categories of {path} number the labels in another order '
            f'than metainfo.classes: {list(categories)} is the order of the '
            f'file, {list(classes)} that of metainfo. '
            f'{_ONE_ORDER.format(path)}'
        )


def moved(names: Sequence[str], others: Sequence[str]) -> bool:
    """Test whether a name has another place in a second list of names."""
    place = {name: k for k, name in enumerate(others)}
    return any(place.get(name, k) != k for k, name in enumerate(names))


def read_categories(path: str, backend_args: dict | None = None) -> list[dict]:
    """Read the categories of a COCO file.

    The rest of the file, which may have a gigabyte, is not parsed: only one
    key has this name.
    """
    with get_local_path(path, backend_args=backend_args) as local:
        with open(local, 'rb') as file:
            text = mmap(file.fileno(), 0, access=ACCESS_READ)
            # No string of the file can match: it would escape the quotes.
            keys = re.compile(rb'"categories"\s*:\s*(?=\[)').finditer(text)
            starts = [key.end() for key in keys]
            size = 1 << 16
            while len(starts) == 1:
                part = text[starts[0] : starts[0] + size]
                try:
                    part = part.decode(errors='ignore')
                    return json.JSONDecoder().raw_decode(part)[0]
                except ValueError:
                    if starts[0] + size >= len(text):
                        break
                    size *= 8
    return load(path, backend_args=backend_args)['categories']


def _check_file(dataset, classes: list[str]) -> None:
    """Check that a CocoDataset's file has its classes in the same order."""
    ids = getattr(dataset, 'cat_ids', None)
    if ids is None:
        return
    try:
        args = dataset.ann_file, getattr(dataset, 'backend_args', None)
        names = {c['id']: c['name'] for c in read_categories(*args)}
        found = [names[one] for one in ids]
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return  # a user's own dataset, which reads another format
    check_order(classes, found, list(names.values()), dataset.ann_file)
