"""Collects sizes and boxes of all images of a dataset once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sniper_mmdet.chips import ImageBoxes, clip_boxes

from .instances import annotated_size, instance_boxes, instance_labels
from .proposals import image_id, image_keys


class CollectedBoxes(NamedTuple):
    """The annotations of a dataset from which chips are mined."""

    images: ImageBoxes  # a broken image is 1x1 px without boxes
    broken: np.ndarray  # (N,) bool, images that are broken
    keys: list[str]  # what each image is called in a proposal file
    box_labels: np.ndarray  # (M,) int32, of images.boxes
    labels: set[int]  # of all boxes, also ignored ones
    num_ignored: int  # number of ignored boxes
    num_degenerate: int  # boxes with too little in their image


class FlatBoxes(NamedTuple):
    """The annotations of all images of a dataset, as they are.

    A dataset of millions of boxes may return them from a method
    ``flat_boxes``. From other datasets they are read image by image.
    """

    sizes: np.ndarray  # (N, 2) width and height, at least 1
    counts: np.ndarray  # (N,) number of boxes
    boxes: np.ndarray  # (M, 4) float32, not clipped
    labels: np.ndarray  # (M,) int32
    ignored: np.ndarray  # (M,) bool
    keys: list[str]  # what each image is called in a proposal file


def collect_boxes(
    dataset, on_broken: Callable[[int, Exception, str], None]
) -> CollectedBoxes:
    """Read sizes and boxes of all images of a dataset.

    Boxes are clipped to their image; too small ones are left out, see
    :func:`~sniper_mmdet.chips.clip_boxes`.

    Args:
        dataset (BaseDataset): Any dataset that has ``get_data_info(index)``.
        on_broken (Callable): Called with the index, the error and the path of
            an image that cannot be read or has a broken instance. It may raise
            an error.

    Raises:
        ValueError: Two images cannot be distinguished.
    """
    broken = np.zeros(len(dataset), bool)
    if hasattr(dataset, 'flat_boxes'):
        found = dataset.flat_boxes()
    else:
        found = _image_by_image(dataset, broken, on_broken)
    sizes, counts, boxes, labels, ignored, keys = found
    image = np.repeat(np.arange(len(dataset)), counts)
    boxes, large = clip_boxes(boxes, sizes[image])
    whole = ~broken[image]
    kept = large & whole
    trained, regions = kept & ~ignored, kept & ignored
    counts = np.bincount(image[trained], minlength=len(dataset))
    held = boxes[trained], counts, boxes[regions], image[regions]
    return CollectedBoxes(
        ImageBoxes.from_flat(sizes, *held),
        broken,
        keys,
        labels[trained],
        set(np.unique(labels[kept]).tolist()),
        int(regions.sum()),
        int((whole & ~large).sum()),
    )


def _image_by_image(dataset, broken: np.ndarray, on_broken) -> FlatBoxes:
    """Read image by image; broken ones are marked, with a size of 1x1 px."""
    num_images = len(dataset)
    sizes, counts = np.ones((num_images, 2)), np.zeros(num_images, int)
    names, boxes, labels, ignored = [], [np.zeros((0, 4), np.float32)], [], []
    for index in range(num_images):
        info = dataset.get_data_info(index)
        names.append(image_id(info))
        try:
            size = annotated_size(info)
            found = instance_boxes(info['instances'], info['img_path'])
            kinds = instance_labels(info['instances'], info['img_path'])
        except (OSError, ValueError) as error:
            on_broken(index, error, info['img_path'])
            broken[index] = True
            continue
        sizes[index], counts[index] = size, len(found)
        boxes.append(found)
        labels += kinds
        ignored += [bool(i.get('ignore_flag')) for i in info['instances']]
    boxes = np.concatenate(boxes)
    image = np.repeat(np.arange(num_images), counts)
    finite = np.isfinite(boxes).all(1)
    for index in np.unique(image[~finite]):
        first = np.flatnonzero(~finite & (image == index))[0]
        which = first - np.searchsorted(image, index)
        text = f'a box is not finite: {boxes[first].tolist()}'
        path = names[index][1]
        error = ValueError(f'{path}: {text}, that of instances[{which}].')
        on_broken(index, error, path)
        broken[index], sizes[index] = True, 1
    kinds = np.array(labels, np.int32), np.array(ignored, bool)
    return FlatBoxes(sizes, counts, boxes, *kinds, image_keys(names))
