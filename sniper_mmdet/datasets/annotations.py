"""Reads what others annotated, and says what is wrong with it."""

import os.path as osp
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sniper_mmdet.chips import clip_boxes

NO_IMAGE = (
    'the data set {} has no image with a box to train on: check the '
    'annotation file, the class names in metainfo and filter_cfg.'
)


def dataset_name(dataset) -> str:
    """A data set, or its config, as an error calls it."""
    if not isinstance(dataset, dict):
        return getattr(dataset, 'ann_file', None) or type(dataset).__name__
    if not dataset.get('ann_file'):
        return str(dataset.get('type'))
    return osp.join(dataset.get('data_root') or '', dataset['ann_file'])


def read_annotations(dataset, function: Callable, *args):
    """Call what reads annotations, and name them when it fails.

    mmdet's own errors are Python's: "Expecting value: line 1 column 1".

    Raises:
        ValueError: The annotations are broken, or empty.
    """
    try:
        return function(*args)
    except (AttributeError, KeyError, SyntaxError, ValueError) as error:
        # mmengine joins the images of a data set, and joins no empty list.
        if 'need at least one array' in str(error):
            raise ValueError(NO_IMAGE.format(dataset_name(dataset))) from None
        raise ValueError(
            f'the data set {dataset_name(dataset)} cannot be loaded: '
            f'{_broken_xml(dataset)}{type(error).__name__}: {error}'
        ) from error


def _broken_xml(dataset) -> str:
    """The annotation that a data set in VOC's format fails at, if any."""
    if isinstance(dataset, dict):  # it failed while it was built
        root = osp.join(
            dataset.get('data_root') or '',
            (dataset.get('data_prefix') or {}).get('sub_data_root', ''),
        )
    else:
        root = getattr(dataset, 'sub_data_root', '')
    for path in sorted(Path(root, 'Annotations').glob('*.xml')):
        try:
            ElementTree.parse(path)
        except SyntaxError:
            return f'{path}: '
    return ''


def usable_instances(
    instances: list[dict], size: tuple[int, int], path: str
) -> list[dict]:
    """Instances clipped to the image (width, height), too small ones left out.

    See :func:`~sniper_mmdet.chips.clip_boxes`.

    Raises:
        ValueError: A box is not finite, or not of four numbers.
    """
    boxes = np.array([i['bbox'] for i in instances], np.float32)
    boxes = boxes.reshape(len(instances), 4)  # and not other boxes of others
    finite = np.isfinite(boxes).all(1)
    if not finite.all():
        first = boxes[finite.argmin()].tolist()
        raise ValueError(f'{path}: a box is not finite: {first}.')
    boxes, kept = clip_boxes(boxes, size)
    return [
        {'ignore_flag': 0, **instances[k], 'bbox': boxes[k].tolist()}
        for k in np.flatnonzero(kept)
    ]
