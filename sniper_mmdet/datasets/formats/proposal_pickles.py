"""Converts pickles of proposals, of the original SNIPER or MMDetection.

``tools/dataset_converters/convert_proposals.py`` describes their content.
"""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
from mmcv.ops import nms

from sniper_mmdet.utils.progress import track

from ..chip_dataset import ChipDataset
from ..proposals import write_proposals
from .array_pickle import load_arrays

# Original pixels: above rounding errors, below a mix-up of images.
_TOLERANCE = 2


def keep_all_images(dataset: dict) -> None:
    """Change a dataset's config to keep all images, as a list needs."""
    for inner in (*dataset.get('datasets', ()), dataset.get('dataset')):
        if inner:
            keep_all_images(inner)
    if 'filter_cfg' in dataset:
        dataset['filter_cfg'] = None


def convert_proposals(
    src: str,
    dataset: ChipDataset,
    out: str,
    style: str = 'auto',
    order: str = 'auto',
    iou: float = 0.7,
) -> int:
    """Write a proposal file from a pickle of proposals.

    Args:
        src (str): The pickle.
        dataset (ChipDataset): Dataset of the images, with all of them, see
            :func:`keep_all_images`.
        out (str): The proposal file, see
            :class:`~sniper_mmdet.datasets.ProposalFile`.
        style (str): 'sniper', 'mmdet', or 'auto': a list is the original's.
        order (str): Order of a list: 'file', that of the annotation file;
            'python2', that of a Python 2 dict of image ids; or 'auto':
            'python2' for the original's proposals on COCO.
        iou (float): Threshold of the NMS; 1 for no NMS. Defaults to 0.7, as in
            the original.

    Returns:
        int: Number of proposals.

    Raises:
        FileNotFoundError: There is no such pickle.
        ValueError: The pickle is damaged, or of other images.
    """
    found = load_arrays(src)
    if not isinstance(found, (list, dict)):
        raise ValueError(
            f'{src} must hold a list or a dict of proposals. '
            f'Received: {type(found).__name__}.'
        )
    if style == 'auto':
        style = 'sniper' if isinstance(found, list) else 'mmdet'
    if order == 'auto' and style == 'mmdet':
        order = 'file'
    if isinstance(found, list):
        arrays = _by_position(found, dataset, src, order)
    else:
        arrays = _by_name(found, dataset, src)
    sizes = dataset.images.sizes
    boxes, scores = [], []
    for index in track(range(len(arrays))):
        where = f'{src}: image {index} ({dataset.keys[index]})'
        kept, score = _checked(
            arrays[index], sizes[index], style == 'sniper', where
        )
        if iou < 1 and len(kept):
            best, _ = nms(kept, score, iou)
            kept, score = best[:, :4], best[:, 4]
        boxes.append(kept)
        scores.append(score)
    about = dict(source=src, format=style, nms=iou)
    write_proposals(out, dataset.keys, sizes, boxes, scores, about)
    return sum(map(len, boxes))


def python2_order(ids: Sequence[int]) -> list[int]:
    """Order distinct ids as the keys of a Python 2 dict; returns positions.

    The dict is a hash table whose size is a power of two. An integer lies at
    its own low bits, or where the probing for a free place ends. The table
    grows when it is two thirds full.
    """
    table = [None] * 8

    def insert(position):
        mask = len(table) - 1
        slot = perturb = ids[position]
        while table[slot & mask] is not None:
            slot = 5 * slot + perturb + 1
            perturb >>= 5
        table[slot & mask] = position

    for used in range(1, len(ids) + 1):
        insert(used - 1)
        if 3 * used >= 2 * len(table):
            kept = [p for p in table if p is not None]
            room = (2 if used > 50000 else 4) * used
            table = [None] * 2 ** room.bit_length()
            for p in kept:
                insert(p)
    return [p for p in table if p is not None]


def _by_position(
    found: list, dataset: ChipDataset, src: str, order: str
) -> list[np.ndarray]:
    if len(found) != len(dataset.keys):
        raise ValueError(
            f'{src} has proposals of {len(found)} images, the dataset has '
            f'{len(dataset.keys)}: it is of another dataset or split.'
        )
    arrays = [np.asarray(array) for array in found]
    if order == 'file':
        return arrays
    infos = map(dataset.dataset.get_data_info, range(len(arrays)))
    ids = [info.get('img_id') for info in infos]
    numbered = all(isinstance(i, int) and i >= 0 for i in ids)
    if not numbered or len(set(ids)) < len(ids):
        if order == 'python2':
            raise ValueError('--order python2 needs whole numbers as ids.')
        return arrays
    # The inverse of the order gives the array of each image.
    return [arrays[place] for place in np.argsort(python2_order(ids))]


def _by_name(found: dict, dataset: ChipDataset, src: str) -> list[np.ndarray]:
    """Proposals by MMDetection's key: the image's folder and file name."""
    arrays = []
    for index in range(len(dataset.keys)):
        path = PurePath(dataset.dataset.get_data_info(index)['img_path'])
        name = '/'.join(path.parts[-2:])
        if name not in found:
            raise ValueError(
                f'{src} has no proposals for {name}; it has such as '
                f'{list(found)[:1]}.'
            )
        # InstanceData keeps its data in attributes.
        boxes = np.asarray(getattr(found[name], 'bboxes', None))
        scores = np.asarray(getattr(found[name], 'scores', None))
        if boxes.ndim != 2 or scores.shape != boxes.shape[:1]:
            raise ValueError(f'{src}: {name} has no bboxes and scores.')
        arrays.append(np.column_stack([boxes, scores]))
    return arrays


def _checked(
    array: np.ndarray, size: np.ndarray, inclusive: bool, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Check the boxes and scores of an image, and clip the boxes to it."""
    if array.size == 0:
        array = np.zeros((0, 5))
    if array.ndim != 2 or array.shape[1] != 5 or array.dtype.kind not in 'fiu':
        raise ValueError(
            f'{where} must be an array (N, 5) of x1, y1, x2, y2, score. '
            f'Received: {array.dtype} of shape {array.shape}.'
        )
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f'{where} holds a number that is not finite.')
    boxes, scores = array[:, :4], array[:, 4]
    boxes[:, 2:] += inclusive
    limit = np.tile(size, 2).astype(np.float32)
    outside = (boxes < -_TOLERANCE) | (boxes > limit + _TOLERANCE)
    if outside.any():
        first = np.flatnonzero(outside.any(1))[0]
        raise ValueError(
            f'{where} lies outside of the image, {size[0]}x{size[1]}: '
            f'{boxes[first].tolist()}. Is it of another dataset?'
        )
    boxes = np.clip(boxes, 0, limit)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return boxes[kept], scores[kept]
