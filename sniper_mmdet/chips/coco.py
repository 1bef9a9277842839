"""Boxes of a COCO json, read without any framework."""

import json
import logging
from pathlib import Path

import numpy as np

from .boxes import ImageBoxes, clip_boxes
from .coco_content import CocoContent, check_coco


def from_coco(path: str) -> ImageBoxes:
    """Read boxes from a COCO json, crowd and degenerate boxes left out.

    What is left out is counted, and told by Python's own logging.

    Args:
        path (str): COCO json with ``images`` and ``annotations``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a COCO json, or a broken image or annotation.
    """
    return read_coco(path)[0]


def read_coco(path: str) -> tuple[ImageBoxes, int]:
    """The boxes of :func:`from_coco`, and how many had too little area.

    Less than a pixel of the width or height of those is in their image, or
    their ``area`` is 0.
    """
    content = load_coco(path)[1]
    content.must_be_finite()
    image, empty = content.image, content.left_out['area']
    boxes, large = clip_boxes(content.boxes, content.sizes[image])
    empty |= content.trained & ~large
    text = content.left_out_text()
    if text:
        logging.getLogger(__name__).warning(text)
    order = np.flatnonzero(content.trained)
    order = order[np.argsort(image[order], kind='stable')]
    counts = np.bincount(image[order], minlength=len(content.sizes))
    images = ImageBoxes.from_flat(content.sizes, boxes[order], counts)
    return images, int(empty.sum())


def load_coco(path: str) -> tuple[dict, CocoContent]:
    """A COCO json as it is, and its checked content.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a COCO json, or a broken image or annotation.
    """
    try:
        coco = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(
            f'{path} is not a COCO detection json: '
            f'{type(error).__name__}: {error}.'
        ) from None
    return coco, check_coco(coco, path)
