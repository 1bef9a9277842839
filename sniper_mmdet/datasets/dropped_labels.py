"""Annotations of which a share is dropped, to see what that costs."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.utils.errors import UserError

from .formats.coco import CocoWriter
from .instances import annotated_size


def drop_labels(coco: dict, share: float, seed: int = 0) -> tuple[dict, dict]:
    """Drop boxes at random over all images and classes.

    Crowds stay. The same seed drops the same boxes, and of a larger share
    those of a smaller one too.

    Args:
        coco (dict): Content of a COCO file; it is not changed.
        share (float): Of the boxes, in [0, 1).
        seed (int): Defaults to 0.

    Returns:
        tuple[dict, dict]: The file without the boxes that are dropped, and a
        file of those alone, of the same images.

    Raises:
        ValueError: The share is none.
    """
    if not 0 <= share < 1:
        raise UserError(
            f'the share of boxes that are dropped must be in [0, 1). '
            f'Received: {share}.'
        )
    found = coco['annotations']
    boxes = [k for k, one in enumerate(found) if not one.get('iscrowd')]
    order = np.random.default_rng([seed]).permutation(boxes)
    gone = set(order[: round(share * len(boxes))].tolist())
    kept = [one for k, one in enumerate(found) if k not in gone]
    dropped = [one for k, one in enumerate(found) if k in gone]
    return {**coco, 'annotations': kept}, {**coco, 'annotations': dropped}


def with_ignored(kept: dict, dropped: dict) -> dict:
    """The upper bound: what was dropped is annotated as ignored, a crowd."""
    ignored = [dict(one, iscrowd=1) for one in dropped['annotations']]
    return {**kept, 'annotations': [*kept['annotations'], *ignored]}


def as_coco(infos: Sequence[dict], classes: Sequence[str], root: Path) -> dict:
    """A COCO file of any data set of mmdet.

    Args:
        infos (Sequence[dict]): What ``get_data_info`` gives of each image.
        classes (Sequence[str]): Names of the labels.
        root (Path): The folder that files are named from.
    """
    coco = CocoWriter(classes)
    for info in infos:
        name = Path(os.path.relpath(info['img_path'], root)).as_posix()
        size = map(int, annotated_size(info))
        image = coco.add_image(name, *size)
        for one in info['instances']:
            crowd = int(bool(one.get('ignore_flag')))
            label = one['bbox_label']
            coco.add_object(image, name, label, one['bbox'], crowd)
    return coco.content
