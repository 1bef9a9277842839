"""The checked content of a COCO json, and which of it trains no box."""

from collections.abc import Callable, Collection, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from .coco_fields import (
    BOX,
    category_names,
    entries,
    image_of,
    image_sizes,
    of_others,
    read_areas,
    read_boxes,
    require_fields,
    unique_images,
    wrong_field,
)

#: Why an annotation trains no box, in the order of the checks, and the field
#: that shows it.
REASONS = {
    'image': ('name an image that is not in the file', 'image_id'),
    'ignore': ('have the field ignore', None),
    'category': ('name a category that is not in the file', 'category_id'),
    'other': ('are of classes that metainfo does not name', 'category_id'),
    'finite': ('have a bbox that is not finite', 'bbox'),
    'area': ('have an area of 0 or no pixel in their image', 'bbox'),
    'crowd': ('are crowds', None),
}


def first_of(names: Sequence, count: int = 3) -> str:
    """Join the first few of some names, with dots if there are more."""
    more = ['...'] * (len(names) > count)
    return ', '.join([*map(str, names[:count]), *more])


class CocoContent(NamedTuple):
    """The content of a COCO json as arrays.

    Attributes:
        path (str): The file.
        images (list[dict]): Each image once.
        annotations (list[dict]): The annotations as they are in the file.
        sizes (ndarray (N, 2)): float64 (width, height) of each image.
        image (ndarray (M,)): int64, index of each annotation's image; -1 if
            the image is not in the file.
        boxes (ndarray (M, 4)): float64 x1, y1, x2, y2, original pixels.
        left_out (dict[str, ndarray (M,)]): bool, the annotations that train no
            box, by the names of :data:`REASONS`.
    """

    path: str
    images: list[dict]
    annotations: list[dict]
    sizes: np.ndarray
    image: np.ndarray
    boxes: np.ndarray
    left_out: dict[str, np.ndarray]

    @property
    def trained(self) -> np.ndarray:
        """ndarray (M,): bool, whether the box of an annotation is trained."""
        return ~np.any(list(self.left_out.values()), 0)

    def left_out_text(self) -> str:
        """A sentence about the annotations that train no box; '' if none."""
        parts = []
        for name, mask in self.left_out.items():
            if mask.any():
                found = list(compress(self.annotations, mask))
                what, field = REASONS[name]
                ids = first_of([ann.get('id') for ann in found])
                text = f'{len(found)} {what} (annotation {ids}'
                if field:
                    text += f'; {field} {found[0].get(field)!r:.60}'
                parts.append(f'{text})')
        if not parts:
            return ''
        return (
            f'{self.path}: {(~self.trained).sum()} of '
            f'{len(self.annotations)} annotations train no box: '
            f'{"; ".join(parts)}.'
        )

    def must_be_finite(self) -> None:
        """Refuse a box that is not finite.

        Raises:
            ValueError: A box is not finite; the error names its annotation.
        """
        for index in np.flatnonzero(self.left_out['finite'])[:1]:
            raise wrong_field(self.path, self.annotations[index], 'bbox', BOX)


def check_coco(
    coco: Any,
    path: str,
    classes: Collection[str] | None = None,
    measure: Callable[[dict], tuple[int, int]] | None = None,
    needed: Sequence[str] = (),
) -> CocoContent:
    """Check a COCO json, and find the annotations that train no box.

    These are the crowds and the annotations that mmdet's CocoDataset leaves
    out.

    Args:
        coco (dict): Content of the json. The size of an image that is measured
            is written into it.
        path (str): The file, for error messages.
        classes (Collection[str], optional): Names of the trained classes.
            Defaults to None: all classes of the file.
        measure (Callable, optional): Takes an entry of ``images`` whose width
            or height is missing or not above 0, and returns both, original
            pixels; 0 if it cannot measure. Defaults to None: such an image is
            an error.
        needed (Sequence[str]): Fields of each annotation that the reader needs
            besides ``image_id`` and ``bbox``.

    Raises:
        ValueError: Something is wrong; the error names the image or annotation
            and the field.
    """
    images = unique_images(entries(coco, path, 'images'), path)
    annotations = entries(coco, path, 'annotations')
    require_fields(annotations, path, ('image_id', *needed))
    sizes = image_sizes(images, path, measure)
    image = image_of(annotations, images, path)
    ignored, crowds = (
        np.array([bool(ann.get(field)) for ann in annotations], bool)
        for field in ('ignore', 'iscrowd')
    )
    read = (image >= 0) & ~ignored
    found = list(compress(annotations, read))
    boxes, areas = np.zeros((len(read), 4)), np.ones(len(read))
    boxes[read] = read_boxes(found, path)
    areas[read] = read_areas(found, path, 'area' in needed)
    empty = (areas <= 0) | (boxes[:, 2:] < 1).any(1)
    boxes[:, 2:] += boxes[:, :2]
    ends = np.minimum(boxes[:, 2:], sizes[image])
    empty |= (ends <= np.maximum(boxes[:, :2], 0)).any(1)
    names = category_names(coco, path)
    trained = [i for i, c in names.items() if not classes or c in classes]
    other = of_others(annotations, trained, path)
    unknown = of_others(annotations, names, path) if other.any() else other
    masks: dict[str, np.ndarray] = dict(
        image=image < 0,
        ignore=ignored,
        category=unknown,
        other=other,
        finite=np.any(~np.isfinite(boxes), 1),
        area=empty,
        crowd=crowds,
    )
    if not names:  # a file of one class may have none
        del masks['category'], masks['other']
    before = np.zeros(len(image), bool)
    for name, mask in masks.items():
        masks[name] = mask & ~before
        before = before | mask
    return CocoContent(path, images, annotations, sizes, image, boxes, masks)
