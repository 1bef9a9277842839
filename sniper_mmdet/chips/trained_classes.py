"""The classes that a chip trains."""

import numpy as np

from .boxes import ImageBoxes, box_sizes, is_whole_in
from .compiled import njit
from .pyramid import ImagePyramid
from .table import chip_regions


def trained_classes(
    table: np.ndarray,
    images: ImageBoxes,
    pyramid: ImagePyramid,
    labels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the classes of the boxes that each chip trains.

    A chip trains the boxes that lie whole in it and whose size is valid at its
    level, see :func:`~sniper_mmdet.chips.classify_boxes`.

    Args:
        table (ndarray (C,)): Rows of chips.
        images (ImageBoxes): The dataset that they are cut from.
        pyramid (ImagePyramid): The levels.
        labels (ndarray (M,)): Class of each box.

    Returns:
        tuple: Rows of the table (P,), ascending, and their classes (P,). A
        chip has each of its classes once.
    """
    regions = chip_regions(table)
    valid = pyramid.is_valid(box_sizes(images.boxes))
    given = images.boxes, images.offsets, valid, labels.astype(np.int64)
    where = table['image'].astype(np.int64), table['level'].astype(np.int64)
    counts = np.zeros(len(table), np.int64)
    none = np.zeros(0, np.int64)
    seen = np.full(max(int(labels.max(initial=0)) + 1, 1), -1, np.int64)
    _collect(*given, *where, regions, seen, counts, none, none)
    chips, classes = np.empty((2, counts.sum()), np.int64)
    seen[:] = -1
    _collect(*given, *where, regions, seen, counts, chips, classes)
    return chips, classes


@njit
def _collect(
    boxes,
    offsets,
    valid,
    labels,
    images,
    levels,
    regions,
    seen,
    counts,
    chips,
    classes,
):
    """Count the classes of chips, and write them if there is room."""
    place = 0
    for row in range(len(regions)):
        image, level = images[row], levels[row]
        count = 0
        for k in range(offsets[image], offsets[image + 1]):
            if not valid[k, level] or seen[labels[k]] == row:
                continue
            if not is_whole_in(boxes[k], regions[row]):
                continue
            seen[labels[k]] = row
            if len(chips):
                chips[place], classes[place] = row, labels[k]
                place += 1
            count += 1
        counts[row] = count
