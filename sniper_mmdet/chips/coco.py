"""Boxes of a COCO json, read without any framework."""

import json
from collections.abc import Hashable
from pathlib import Path

import numpy as np

from .boxes import ImageBoxes, clip_boxes


def from_coco(path: str) -> ImageBoxes:
    """Read boxes from a COCO json; crowds are its ignored regions.

    Boxes and regions of too little area are left out, and annotations with
    ``ignore``, as mmdet's CocoDataset leaves them out. The released code
    leaves out crowds, too.

    Args:
        path (str): COCO json with ``images`` and ``annotations``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a COCO json, or a broken image or annotation.
    """
    return read_coco(path)[0]


def read_coco(path: str) -> tuple[ImageBoxes, int]:
    """The boxes of :func:`from_coco`, and how many had too little area.

    Less than a pixel of the width or height of those is in their image;
    regions count, too.
    """
    try:
        coco = json.loads(Path(path).read_text())
        images, annotations = coco['images'], coco['annotations']
        for found in (images, annotations):
            if not isinstance(found, list):
                raise TypeError(f'a list is needed, not {found!r:.40}')
            for entry in found:
                if not isinstance(entry, dict):
                    raise TypeError(f'a dict is needed, not {entry!r:.40}')
        index = {img['id']: i for i, img in enumerate(images)}
        sizes = [(img['width'], img['height']) for img in images]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is not a COCO detection json: '
            f'{type(error).__name__}: {error}.'
        ) from None
    for img, size in zip(images, sizes, strict=True):
        for name, side in zip(('width', 'height'), size, strict=True):
            if not isinstance(side, (int, float)) or not 1 <= side <= 1e9:
                raise ValueError(
                    f'{path}: the {name} of image {img["id"]} must be a '
                    f'number from 1 to 1e9. Received: {side!r}.'
                )
    boxes: list[list] = [[] for _ in images]
    regions: list[list] = [[] for _ in images]
    for ann in annotations:
        if ann.get('ignore'):
            continue
        image = ann.get('image_id')
        i = index.get(image) if isinstance(image, Hashable) else None
        if i is None:
            raise ValueError(
                f'{path}: annotation {ann.get("id")} names image '
                f'{image}, which is not in the file.'
            )
        try:
            x, y, w, h = bbox = [float(v) for v in ann['bbox']]
            if not np.isfinite(bbox).all():
                raise ValueError
        except (KeyError, OverflowError, TypeError, ValueError):
            raise ValueError(
                f'{path}: the bbox of annotation {ann.get("id")} must be '
                f'[x, y, width, height]. Received: {ann.get("bbox")!r:.200}.'
            ) from None
        kind = regions if ann.get('iscrowd') else boxes
        kind[i].append((x, y, x + w, y + h))
    num_degenerate = 0
    for kind in (boxes, regions):
        for i, found in enumerate(kind):
            if not found:
                continue
            clipped, kept = clip_boxes(np.reshape(found, (-1, 4)), sizes[i])
            kind[i] = clipped[kept]
            num_degenerate += len(found) - kept.sum()
    images = ImageBoxes.from_lists(sizes, boxes, regions)
    return images, int(num_degenerate)
