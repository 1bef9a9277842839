"""Drops a share of the annotations, to measure what that costs."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.utils.errors import UserError

from .formats.coco import CocoWriter
from .instances import annotated_size


def drop_labels(coco: dict, share: float, seed: int = 0) -> tuple[dict, dict]:
    """Drop random boxes of all images and classes.

    Crowds stay. The same seed drops the same boxes. A larger share drops the
    boxes of a smaller share and more.

    Args:
        coco (dict): Content of a COCO file; it is not changed.
        share (float): Share of the boxes to drop, in [0, 1).
        seed (int): Seed of the choice. Defaults to 0.

    Returns:
        tuple[dict, dict]: The file without the dropped boxes, and a file with
        only the dropped boxes, both with all images.

    Raises:
        ValueError: The share is out of bounds.
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
    """The upper bound: dropped boxes are annotated as ignored, as crowds."""
    ignored = [dict(one, iscrowd=1) for one in dropped['annotations']]
    return {**kept, 'annotations': [*kept['annotations'], *ignored]}


def as_coco(infos: Sequence[dict], classes: Sequence[str], root: Path) -> dict:
    """Make a COCO file of any mmdet dataset.

    Args:
        infos (Sequence[dict]): ``get_data_info`` of each image.
        classes (Sequence[str]): Names of the labels.
        root (Path): The folder that file names are relative to.
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
