"""Checks the result of ``get_data_info`` of any dataset."""

import numpy as np

from sniper_mmdet.chips import clip_boxes, seen_in
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import image_size


def instance_boxes(instances: list[dict], path: str) -> np.ndarray:
    """Annotated boxes (N, 4) of an image's instances, float32.

    Raises:
        ValueError: An instance has no box; the error names image and instance.
    """
    try:
        boxes = np.array([i['bbox'] for i in instances], np.float32)
        if not instances or boxes.shape[1:] == (4,):
            return boxes.reshape(-1, 4)
    except (KeyError, TypeError, ValueError):
        pass
    for index, instance in enumerate(instances):
        if 'bbox' not in instance:
            raise ValueError(f'{path}: instances[{index}] has no bbox.')
        box = instance['bbox']
        try:
            if np.array(box, np.float32).shape == (4,):
                continue
        except (TypeError, ValueError):
            pass
        raise ValueError(
            f'{path}: the bbox of instances[{index}] must be '
            f'[x1, y1, x2, y2]. Received: {box!r:.200}.'
        )
    raise ValueError(f'{path}: a bbox must be [x1, y1, x2, y2].')


def instance_labels(instances: list[dict], path: str) -> list[int]:
    """The ``bbox_label`` of each instance of an image.

    Raises:
        ValueError: A label is missing, or is not a whole number.
    """
    try:
        labels = [i['bbox_label'] for i in instances]
        if {type(label) for label in labels} <= {int}:
            return labels
    except KeyError:
        pass
    for index, instance in enumerate(instances):
        label = instance.get('bbox_label')
        if not isinstance(label, (int, np.integer)):
            raise ValueError(
                f'{path}: the bbox_label of instances[{index}] must be a '
                f'whole number. Received: {label!r:.200}.'
            )
    return [int(label) for label in labels]


def annotated_size(info: dict) -> tuple[float, float]:
    """Width and height of an image, from its info or else its header.

    Args:
        info (dict): Result of ``get_data_info``. A side that is not above 0
            counts as missing.

    Raises:
        OSError: The image cannot be read.
        ValueError: A side is not a number.
    """
    size = info.get('width'), info.get('height')
    if type(size[0]) is type(size[1]) is int and min(size) >= 1:
        return size  # the usual case, and the fastest
    for name, side in zip(('width', 'height'), size, strict=True):
        if not isinstance(side, (int, float, np.number, type(None))):
            raise ValueError(
                f'{info["img_path"]}: the {name} must be a number. Received: '
                f'{side!r:.200}.'
            )
    if all(side and side >= 1 for side in size):
        return size
    return image_size(info['img_path'])


def usable_instances(
    instances: list[dict],
    size: tuple[int, int],
    path: str,
    region: np.ndarray | None = None,
) -> list[dict]:
    """Clip instances to the image; leave out small and unseen ones.

    Args:
        instances (list[dict]): Those of an image.
        size (tuple[int]): (width, height) of the image, see
            :func:`~sniper_mmdet.chips.clip_boxes`.
        path (str): The image, for errors.
        region (ndarray (4,), optional): (x1, y1, x2, y2) of the part that is
            seen, original pixels. Defaults to None: the whole image.

    Raises:
        ValueError: A box is not four numbers.
    """
    boxes, kept = clip_boxes(instance_boxes(instances, path), size)
    if region is not None:
        kept &= seen_in(boxes, region)
    kept = np.flatnonzero(kept)
    return [
        {'ignore_flag': 0, **instances[k], 'bbox': box}
        for k, box in zip(kept.tolist(), boxes[kept].tolist(), strict=True)
    ]


def is_region(instance: dict) -> bool:
    """Test whether a box is not one object: ignored, or around a group.

    mmdet reads ``is_group_ofs`` from OpenImages' challenge.
    """
    flags = 'ignore_flag', 'is_group_of', 'is_group_ofs'
    return any(map(instance.get, flags))


def no_mask(info: dict) -> UserError:
    """The error if a pipeline loads masks and an instance has none."""
    boxes = [i['bbox'] for i in info['instances'] if 'mask' not in i]
    return UserError(
        f'{info["img_path"]}: the instance of the bbox {boxes[:1]} has no '
        'mask, which LoadAnnotations(with_mask=True) needs: annotate it (by '
        'segmentation in a COCO file), or load no masks.'
    )
