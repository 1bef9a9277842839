"""Sizes and boxes of all images of a data set, collected once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from sniper_mmdet.chips import ImageBoxes
from sniper_mmdet.utils.image import image_size
from sniper_mmdet.utils.progress import Progress

from .annotations import usable_instances
from .proposals import image_id, image_keys


class CollectedBoxes(NamedTuple):
    """What chips are mined from, of all images of a data set."""

    images: ImageBoxes  # trained and ignored; a broken one is an empty pixel
    broken: np.ndarray  # (N,) bool, images that are broken
    keys: list[str]  # what each image is called in a proposal file
    labels: set[int]  # of all boxes, ignored ones too


def collect_boxes(
    dataset, on_broken: Callable[[int, Exception, str], None]
) -> CollectedBoxes:
    """Read sizes and boxes of all images of a data set.

    Boxes are clipped to their image; too small ones are left out, and their
    number is logged, see :func:`~sniper_mmdet.chips.clip_boxes`.

    Args:
        dataset (BaseDataset): Any that offers ``get_data_info(index)``.
        on_broken (Callable): Gets the index, the error and the path of an
            image that cannot be read, or that has a box that is not finite;
            may raise.

    Raises:
        ValueError: Two images cannot be told apart.
    """
    num_images = len(dataset)
    sizes, boxes, regions, names = [], [], [], []
    broken, labels, num_degenerate = np.zeros(num_images, bool), set(), 0
    bar = Progress(num_images) if num_images >= 20000 else None
    for index in range(num_images):
        info = dataset.get_data_info(index)
        try:
            size = info.get('width'), info.get('height')
            if not all(size):
                size = image_size(info['img_path'])
            kept = usable_instances(info['instances'], size, info['img_path'])
            num_degenerate += len(info['instances']) - len(kept)
        except (OSError, ValueError) as error:
            on_broken(index, error, info['img_path'])
            broken[index], size, kept = True, (1, 1), []
        sizes.append(size)
        names.append(image_id(info))
        labels.update(i['bbox_label'] for i in kept)
        for found, flag in ((boxes, False), (regions, True)):
            own = [i['bbox'] for i in kept if bool(i['ignore_flag']) == flag]
            found.append(np.array(own, np.float32).reshape(-1, 4))
        if bar:
            bar.update()
    if bar:
        bar.close()
    if num_degenerate:
        print_log(
            f'ChipDataset: {num_degenerate} boxes have less than a pixel '
            'inside their image and are left out',
            'current',
        )
    images = ImageBoxes.from_lists(sizes, boxes, regions)
    return CollectedBoxes(images, broken, image_keys(names), labels)
