"""Prepares annotations for the evaluation by pycocotools."""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from pycocotools.coco import COCO

from sniper_mmdet.chips.coco_fields import (
    BOX,
    category_names,
    entries,
    image_of,
    of_others,
    read_areas,
    read_boxes,
    require_fields,
    unique_images,
    wrong_field,
)
from sniper_mmdet.utils.quiet import quiet

#: Numeric fields: their readers, and their rules.
_NUMBERS = (
    ('bbox', read_boxes, BOX),
    ('area', partial(read_areas, is_needed=True), 'a number'),
)


def read_ground_truth(
    path: str | Path, fields: Iterable[str] = ('bbox', 'area')
) -> COCO:
    """Read the COCO file of an evaluation, check it, and fix its ids.

    Raises:
        OSError: There is no such file.
        ValueError: The file is not a COCO file, or see
            :func:`check_annotations`.
    """
    truth = COCO()
    try:
        truth.dataset = json.loads(Path(path).read_text(encoding='utf-8'))
        for key in ('images', 'categories'):
            if not truth.dataset[key]:
                raise KeyError(key)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is not a COCO json: {type(error).__name__}: {error}'
        ) from None
    category_names(truth.dataset, path)
    check_annotations(truth, path, fields)
    with quiet():
        truth.createIndex()
    number_annotations(truth)
    return truth


def number_annotations(truth: COCO) -> None:
    """Number annotations from 1, in memory, if pycocotools needs that.

    pycocotools stores an object's id with the matching detection, where 0
    means no match. Of several objects with one id it keeps the last.

    Args:
        truth (COCO): Annotations; or an object with ``dataset`` and ``anns``,
            such as LVIS.
    """
    annotations = truth.dataset.get('annotations') or []
    ids = [annotation.get('id') for annotation in annotations]
    if not all(type(one) is int and one > 0 for one in ids) or (
        len(set(ids)) < len(ids)
    ):
        for number, annotation in enumerate(annotations, 1):
            annotation['id'] = number
        # The other indices hold the same annotations.
        truth.anns = {one['id']: one for one in annotations}


def check_annotations(
    truth: COCO, path: str | Path, fields: Iterable[str] = ('bbox', 'area')
) -> None:
    """Check that annotations have the fields that an evaluation reads.

    A missing ``iscrowd`` becomes 0, as in mmdet's CocoDataset.

    Args:
        truth (COCO): Annotations; its indices are not needed.
        path (str | Path): Their file.
        fields (Iterable[str]): The needed fields. Defaults to those of boxes.

    Raises:
        ValueError: An annotation lacks a field or has a wrong value, all are
            of other images or categories, or two images have one id.
    """
    images = unique_images(entries(truth.dataset, path, 'images'), path)
    if not truth.dataset.get('annotations'):
        return
    annotations = entries(truth.dataset, path, 'annotations')
    require_fields(annotations, path, ('image_id', 'category_id', *fields))
    categories = category_names(truth.dataset, path)
    lost = dict(
        image_id=image_of(annotations, images, path) < 0,
        category_id=of_others(annotations, categories, path),
    )
    for field, mask in lost.items():
        if not mask.any():
            continue
        first = annotations[mask.argmax()]
        if mask.all():
            rule = f'the id of a category, one of {list(categories)}'
            raise wrong_field(path, first, field, rule)
        print_log(
            f'{path}: {mask.sum()} of {len(annotations)} annotations do not '
            f'count, as their {field} is not in the file; the first is '
            f'annotation {first.get("id")}, {field} {first[field]!r}.',
            'current',
        )
    for field, read, rule in _NUMBERS:
        if field in fields:
            numbers = np.isfinite(read(annotations, path))
            right = numbers.reshape(len(annotations), -1).all(1)
            for k in np.flatnonzero(~right)[:1]:
                raise wrong_field(path, annotations[k], field, rule)
    without = [one for one in annotations if 'iscrowd' not in one]
    if without:
        for one in without:
            one['iscrowd'] = 0
        print_log(
            f'{path}: {len(without)} annotations have no iscrowd, the first '
            f'is {without[0].get("id")!r}: they count as single objects.',
            'current',
        )
