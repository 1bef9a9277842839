"""Readers of the fields of a COCO json.

Each function takes content of the json, and its path for error messages. It
raises a ValueError that names the place of the field.
"""

from collections import deque
from collections.abc import Callable, Collection, Hashable
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import numpy as np

BOX = '[x, y, width, height]'
_NUMBERS = {int, float}


def require_fields(
    annotations: list[dict], path: str, fields: tuple[str, ...]
) -> None:
    """Check that each annotation has the fields."""
    try:
        deque(map(itemgetter(*fields), annotations), maxlen=0)
    except KeyError as error:
        field = error.args[0]
        number = next(i for i, a in enumerate(annotations) if field not in a)
        ann = annotations[number]
        name = ann.get('id', f'number {number + 1}')
        raise ValueError(
            f'{_place(path, ann)}: annotation {name} has no {field}.'
        ) from None


def wrong_field(path: str, ann: dict, field: str, rule: str) -> ValueError:
    return ValueError(
        f'{_place(path, ann)}: the {field} of annotation {ann.get("id")} must '
        f'be {rule}. Received: {ann.get(field)!r:.200}.'
    )


def _place(path: str, ann: dict) -> str:
    return f'{path}, image {ann.get("image_id")!r:.40}'


def entries(coco: Any, path: str, key: str) -> list[dict]:
    """The list of dicts that the file has under a key."""
    try:
        found = coco[key]
        if not isinstance(found, list):
            raise TypeError(f'a list is needed, not {found!r:.40}')
        for entry in found:
            if not isinstance(entry, dict):
                raise TypeError(f'a dict is needed, not {entry!r:.40}')
    except (KeyError, TypeError) as error:
        raise ValueError(
            f'{path} is not a COCO detection json: '
            f'{type(error).__name__}: {error}, in {key}.'
        ) from None
    return found


def unique_images(images: list[dict], path: str) -> list[dict]:
    """Each image once; of an image that is listed twice, the last entry."""
    found: dict[Any, dict] = {}
    for number, image in enumerate(images, 1):
        try:
            first = found.get(image['id'], image)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f'{path} is not a COCO detection json: '
                f'{type(error).__name__}: {error}, in image number {number}.'
            ) from None
        name = image.get('file_name')
        if first != image and (not name or first.get('file_name') != name):
            raise ValueError(
                f'{path} has two images of the id {image["id"]!r}: '
                f'{first.get("file_name")} and {name}.'
            )
        found[image['id']] = image
    return list(found.values())


def image_sizes(
    images: list[dict], path: str, measure: Callable | None
) -> np.ndarray:
    sizes = np.zeros((len(images), 2))
    for k, image in enumerate(images):
        size = tuple(map(image.get, ('width', 'height')))
        rest = [v for v in size if not _is_number(v, 1, 1e9)]
        if rest and measure and all(_is_unknown(v) for v in rest):
            size = measure(image)
            image.update(width=size[0], height=size[1])
        elif rest:
            raise _wrong_size(image, path)
        sizes[k] = size
    return sizes


def _is_number(value: Any, low: float, high: float) -> bool:
    return type(value) in _NUMBERS and low <= value <= high


def _is_unknown(side: Any) -> bool:
    return side is None or type(side) in _NUMBERS and side < 1


def _wrong_size(image: dict, path: str) -> ValueError:
    for side in ('width', 'height'):
        if side not in image:
            return ValueError(
                f'{path} is not a COCO detection json: image {image["id"]} '
                f'has no {side!r}.'
            )
        if not _is_number(image[side], 1, 1e9):
            break
    return ValueError(
        f'{path}: the {side} of image {image["id"]} must be a number from 1 '
        f'to 1e9. Received: {image[side]!r:.200}.'
    )


def image_of(
    annotations: list[dict], images: list[dict], path: str
) -> np.ndarray:
    index = {image['id']: i for i, image in enumerate(images)}
    ids = map(itemgetter('image_id'), annotations)
    try:
        indices = map(index.get, ids, repeat(-1))
        found = np.fromiter(indices, np.int64, len(annotations))
    except TypeError:
        ann = _first_unhashable(annotations, 'image_id')
        raise wrong_field(
            path, ann, 'image_id', 'the id of an image'
        ) from None
    if len(found) and (found < 0).all():
        ann, such = annotations[0], [image['id'] for image in images[:1]]
        raise ValueError(
            f'{path}: annotation {ann.get("id")} names image '
            f'{ann["image_id"]!r}, which is not in the file; no image that an '
            f'annotation names is. Ids of images are such as {such}.'
        )
    return found


def _first_unhashable(entries: list[dict], field: str) -> dict:
    return next(
        entry
        for entry in entries
        if not isinstance(entry.get(field), Hashable)
    )


def category_names(coco: dict, path: str) -> dict:
    """Names of categories by id."""
    if not coco.get('categories'):
        return {}
    categories = entries(coco, path, 'categories')
    for category in categories:
        name, number = category.get('name'), category.get('id')
        known = isinstance(number, Hashable) and 'id' in category
        if not isinstance(name, str) or not known:
            raise ValueError(
                f'{path}: each of categories must have an id and a name. '
                f'Received: {category!r:.200}.'
            )
    return {category['id']: category['name'] for category in categories}


def of_others(
    annotations: list[dict], known: Collection, path: str
) -> np.ndarray:
    """ndarray (N,): bool, whether the category is not a known one."""
    ids = set(known)
    try:
        found = [ann.get('category_id') not in ids for ann in annotations]
    except TypeError:
        ann = _first_unhashable(annotations, 'category_id')
        rule = 'the id of a category'
        raise wrong_field(path, ann, 'category_id', rule) from None
    return np.array(found, bool)


def read_boxes(annotations: list[dict], path: str) -> np.ndarray:
    """ndarray (N, 4): float64 x, y, width, height."""
    boxes: list[Any] = [ann.get('bbox') for ann in annotations]
    try:
        numbers = set(map(type, chain.from_iterable(boxes)))
        if numbers <= _NUMBERS and set(map(len, boxes)) <= {4}:
            flat = chain.from_iterable(boxes)
            return np.fromiter(flat, float, 4 * len(boxes)).reshape(-1, 4)
    except (OverflowError, TypeError):
        pass
    for ann, box in zip(annotations, boxes, strict=True):
        known = isinstance(box, list) and len(box) == 4
        if not known or not set(map(type, box)) <= _NUMBERS:
            raise wrong_field(path, ann, 'bbox', BOX)
    raise ValueError(f'{path}: a number of a bbox is too large.')


def read_areas(
    annotations: list[dict], path: str, is_needed: bool
) -> np.ndarray:
    """ndarray (N,): float64; 1 where the area is missing and not needed."""
    areas = [ann.get('area') for ann in annotations]
    allowed = _NUMBERS if is_needed else {*_NUMBERS, type(None)}
    if not set(map(type, areas)) <= allowed:
        for ann in annotations:
            if type(ann.get('area')) not in allowed:
                raise wrong_field(path, ann, 'area', 'a number')
    known = (1 if area is None else area for area in areas)
    try:
        return np.fromiter(known, float, len(areas))
    except OverflowError:
        raise ValueError(
            f'{path}: a number of an area is too large.'
        ) from None
