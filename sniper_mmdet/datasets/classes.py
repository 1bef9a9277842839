"""Which class a label is, in data sets and in the files that they read.

mmdet's CocoDataset and CocoMetric number labels by the order of a file's
categories, of those that ``metainfo.classes`` names; everything else calls
label k ``classes[k]``. Only where both orders are one are boxes called what
they are.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from mmap import ACCESS_READ, mmap

from mmengine.fileio import get_local_path, load

from .annotations import dataset_name

#: What to do about two orders; takes the file.
_ONE_ORDER = (
    'Give metainfo.classes the order of the file, wherever it is named, or '
    'sort the categories of {} (their ids may stay).'
)


def check_classes(dataset) -> None:
    """See that the labels of a data set are the classes that it names.

    Those of data sets within it are looked at, too, and that all of them name
    the same classes. mmdet's CocoDataset leaves out classes that its file
    lacks, and numbers the others in the order of the file, without a word.

    Args:
        dataset (BaseDataset): Of mmdet, or one around others; its annotations
            are read.

    Raises:
        ValueError: Names the classes, and those that the file has.
    """
    first = None
    for part in parts_of(dataset):
        classes = classes_of(part)
        # Those that come as a text have no numbers (GroundingDINO).
        if not classes or getattr(part, 'return_classes', False):
            continue
        _check_file(part, classes)
        first = first or (part, classes)
        if classes != first[1]:
            raise ValueError(
                'the parts of a data set must name the same classes in one '
                f'order. Received: {first[1]} of {dataset_name(first[0])}, '
                f'and {classes} of {dataset_name(part)}.'
            )


def parts_of(dataset) -> Iterator:
    """The data sets that read annotations, out of those around them."""
    found = getattr(dataset, 'datasets', [getattr(dataset, 'dataset', None)])
    inner = [one for one in found if hasattr(one, 'metainfo')]
    for one in inner:
        yield from parts_of(one)
    if not inner:
        yield dataset


def classes_of(dataset) -> list[str]:
    """What a data set calls its labels; empty where it does not say.

    Raises:
        ValueError: It is a text, which has a name for each letter.
    """
    metainfo = getattr(dataset, 'metainfo', None) or {}
    if not isinstance(metainfo, dict):  # of parts that differ, one for each
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
    """See that labels, which a file's categories number, have their names.

    A category that is called as no class is (LVIS spells some otherwise) is
    no fault.

    Args:
        classes (Sequence[str]): What the labels are called.
        categories (Sequence[str]): What their categories are called.
        known (Sequence[str]): All categories of the file.
        path (str): The file.

    Raises:
        ValueError: Labels are called as others are, or a class is missing.
    """
    if list(classes) == list(categories):
        return
    unknown = [name for name in classes if name not in known]
    if unknown and len(categories) < len(classes):
        raise ValueError(
            f'metainfo names the class {unknown[0]!r}, which {path} has not; '
            f'it has {list(known)}. metainfo=dict(classes=...) of each '
            'data set names the classes; without it they are those of its '
            'type.'
        )
    for names, of in ((categories, f'{path} has'), (classes, 'metainfo has')):
        twice = [name for name, n in Counter(names).items() if n > 1]
        if twice:
            raise ValueError(
                f'{of} two categories of one name, {twice[0]!r}. '
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
    """Whether a name has another place in a second list of names."""
    place = {name: k for k, name in enumerate(others)}
    return any(place.get(name, k) != k for k, name in enumerate(names))


def read_categories(path: str, backend_args: dict | None = None) -> list[dict]:
    """The categories of a COCO file.

    A file of a gigabyte is not read for them: there is one key of that name.
    """
    with get_local_path(path, backend_args=backend_args) as local:
        with open(local, 'rb') as file:
            text = mmap(file.fileno(), 0, access=ACCESS_READ)
            # No text within the file matches: it would escape the quotes.
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
    """See that a CocoDataset's file has its classes in their order."""
    ids = getattr(dataset, 'cat_ids', None)
    if ids is None:
        return
    try:
        args = dataset.ann_file, getattr(dataset, 'backend_args', None)
        names = {c['id']: c['name'] for c in read_categories(*args)}
        found = [names[one] for one in ids]
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return  # a data set of the user's own, which reads something else
    check_order(classes, found, list(names.values()), dataset.ann_file)
