"""Boxes of a COCO json, read without any framework."""

import json
import logging
from pathlib import Path

import numpy as np

from .boxes import ImageBoxes, clip_boxes
from .coco_content import CocoContent, check_coco


def from_coco(path: str) -> ImageBoxes:
    """Read boxes from a COCO json. Crowds become ignored regions.

    Annotations with ``ignore`` and boxes and regions of too little area are
    left out, as in mmdet's CocoDataset. The released code leaves out crowds,
    too.

    The number of annotations that are left out is logged by Python's own
    logging.

    Args:
        path (str): COCO json with ``images`` and ``annotations``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a COCO json, or a broken image or annotation.
    """
    return read_coco(path)[0]


def read_coco(path: str) -> tuple[ImageBoxes, int]:
    """Boxes of :func:`from_coco`, and the number with too little area.

    A box or region has too little area when less than a pixel of its width or
    height is in its image, or when its ``area`` is 0.
    """
    content = load_coco(path)[1]
    content.must_be_finite()
    image, crowd = content.image, content.left_out['crowd']
    boxes, large = clip_boxes(content.boxes, content.sizes[image])
    content.left_out['area'][(content.trained | crowd) & ~large] = True
    crowd &= large
    text = content.left_out_text()
    if text:
        logging.getLogger(__name__).warning(text)

    def by_image(mask):
        order = np.flatnonzero(mask)
        return order[np.argsort(image[order], kind='stable')]

    order, regions = by_image(content.trained), by_image(crowd)
    counts = np.bincount(image[order], minlength=len(content.sizes))
    images = ImageBoxes.from_flat(
        content.sizes, boxes[order], counts, boxes[regions], image[regions]
    )
    return images, int(content.left_out['area'].sum())


def load_coco(path: str) -> tuple[dict, CocoContent]:
    """Load a COCO json as it is, and its checked content.

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
