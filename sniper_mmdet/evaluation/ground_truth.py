"""Annotations that pycocotools evaluates by, made fit for it."""

import contextlib
import io
import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from pycocotools.coco import COCO

from sniper_mmdet.chips.coco_fields import unique_images

_NUMBERS = dict(bbox='[x, y, width, height]', area='a number')


def quiet() -> contextlib.redirect_stdout:
    """A context in which pycocotools does not say how it gets on."""
    return contextlib.redirect_stdout(io.StringIO())


def read_ground_truth(
    path: str | Path, fields: Iterable[str] = ('bbox', 'area')
) -> COCO:
    """Read a COCO file to evaluate by, checked and numbered.

    Raises:
        OSError: There is no such file.
        ValueError: It is no COCO file, or see :func:`check_annotations`.
    """
    truth = COCO()
    try:
        truth.dataset = json.loads(Path(path).read_text(encoding='utf-8'))
        with quiet():
            truth.createIndex()
        if not truth.imgs or not truth.cats:
            raise KeyError('images' if truth.cats else 'categories')
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is not a COCO json: {type(error).__name__}: {error}'
        ) from None
    check_annotations(truth, path, fields)
    number_annotations(truth)
    return truth


def number_annotations(truth: COCO) -> None:
    """Number annotations from 1, in memory, where pycocotools needs it.

    It writes an object's id beside the detection that matches, and takes 0
    for none; of objects of one id it knows the last.

    Args:
        truth (COCO): Or what has the same ``dataset`` and ``anns``, as LVIS.
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
    """See that annotations have what an evaluation reads of them.

    ``iscrowd`` is 0 where it is missing, as mmdet's CocoDataset has it.

    Args:
        truth (COCO): Annotations.
        path (str | Path): Their file.
        fields (Iterable[str]): What each must have. Defaults to those of
            boxes.

    Raises:
        ValueError: One lacks a field, or holds something else there, all are
            of other images or categories, or two images have one id.
    """
    unique_images(truth.dataset['images'], path)
    annotations = truth.dataset.get('annotations') or []
    for field in ('image_id', 'category_id', *fields):
        for one in annotations:
            if field not in one:
                raise ValueError(
                    f'{path}: {_place(one)} has no {field}, which its '
                    f'evaluation needs. Received: {list(one)}.'
                )
    for field, what in _NUMBERS.items():
        values = [one[field] for one in annotations if field in fields]
        if not _are_numbers(values, field):
            k = [_are_numbers([v], field) for v in values].index(False)
            raise ValueError(
                f'{path}: {field} of {_place(annotations[k])} must be {what}. '
                f'Received: {values[k]!r:.200}.'
            )
    for field, what, known in (
        ('image_id', 'an image', truth.imgs),
        ('category_id', 'a category', truth.cats),
    ):
        lost = [one for one in annotations if one[field] not in known]
        if lost and len(lost) == len(annotations):
            raise ValueError(
                f'{path}: no annotation is of {what} of the file. Received: '
                f'{field} {lost[0][field]!r}, and {what} with the id '
                f'{next(iter(known), None)!r}.'
            )
        if lost:
            print_log(
                f'{path}: {len(lost)} of {len(annotations)} annotations do '
                f'not count, as their {field} is not that of {what} of the '
                f'file; the first is {_place(lost[0])}, {field} '
                f'{lost[0][field]!r}.',
                'current',
            )
    without = [one for one in annotations if 'iscrowd' not in one]
    if without:
        for one in without:
            one['iscrowd'] = 0
        print_log(
            f'{path}: {len(without)} annotations have no iscrowd, the first '
            f'is {_place(without[0])}: they are taken for single objects.',
            'current',
        )


def _are_numbers(values: list, field: str) -> bool:
    try:
        if field == 'bbox':
            if not set(map(len, values)) <= {4}:
                return False
            values = list(chain.from_iterable(values))
        right = set(map(type, values)) <= {int, float}
        return right and bool(np.isfinite(np.array(values, float)).all())
    except (OverflowError, TypeError):
        return False


def _place(annotation: dict) -> str:
    named = f'annotation {annotation.get("id")!r}'
    return f'{named} of image {annotation.get("image_id")!r}'
