"""The chip table: one row a chip, and what its rows mean."""

import numpy as np

from .boxes import ImageBoxes
from .pyramid import ImagePyramid

#: One row a chip: x1..y2 in original pixels, inside the image; ``seed`` for
#: whatever is drawn at random when the chip is cut and augmented.
CHIP_DTYPE = np.dtype(
    [
        ('image', np.int32),
        ('level', np.int16),
        ('positive', np.bool_),
        ('x1', np.float32),
        ('y1', np.float32),
        ('x2', np.float32),
        ('y2', np.float32),
        ('seed', np.uint32),
    ]
)


def chip_regions(table: np.ndarray) -> np.ndarray:
    """ndarray (..., 4): float32, what each chip shows, original pixels.

    Args:
        table (ndarray (...,)): Rows of :data:`CHIP_DTYPE`, or one of them.
    """
    return np.stack([table[side] for side in ('x1', 'y1', 'x2', 'y2')], -1)


def chip_pixels(
    table: np.ndarray, images: ImageBoxes, pyramid: ImagePyramid
) -> np.ndarray:
    """ndarray (C,): float64, how many level pixels each chip has.

    Args:
        table (ndarray (C,)): Chips of the images.
        images (ImageBoxes): The data set.
        pyramid (ImagePyramid): The levels that the chips are cut from.
    """
    sizes = pyramid.level_sizes(images.widths, images.heights)
    factors = sizes / np.stack([images.widths, images.heights], 1)[:, None]
    factors = factors[table['image'], table['level']]
    x1, y1, x2, y2 = chip_regions(table).T
    return (x2 - x1) * factors[:, 0] * (y2 - y1) * factors[:, 1]
