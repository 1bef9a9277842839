"""The chip table, which has one row per chip."""

import numpy as np

from .boxes import ImageBoxes
from .cover import Levels
from .pyramid import ImagePyramid

_SIDES = ('x1', 'y1', 'x2', 'y2')
#: One row per chip. x1 to y2 are in original pixels, inside the image.
#: ``seed`` is the seed for the random steps of cutting and augmentation.
CHIP_DTYPE = np.dtype(
    [
        ('image', np.int32),
        ('level', np.int16),
        ('positive', np.bool_),
        *[(side, np.float32) for side in _SIDES],
        ('seed', np.uint32),
    ]
)


def make_table(
    found: np.ndarray, levels: Levels, positive: bool, rng: np.random.Generator
) -> np.ndarray:
    """Make rows from chips (C, 4): image, level, x and y in level pixels."""
    table = np.empty(len(found), CHIP_DTYPE)
    table['image'], table['level'] = places = tuple(found[:, :2].T)
    table['positive'] = positive
    first = found[:, 2:]
    last = np.minimum(first + levels.chip, levels.sizes[places])
    regions = np.concatenate([first, last], 1) / levels.factors[places]
    for side, values in zip(_SIDES, regions.T, strict=True):
        table[side] = values
    table['seed'] = rng.integers(0, 2**32, len(found), np.uint32)
    return table


def chip_regions(table: np.ndarray) -> np.ndarray:
    """ndarray (..., 4): float32, the region of each chip, original pixels.

    Args:
        table (ndarray (...,)): Rows of :data:`CHIP_DTYPE`, or one of them.
    """
    return np.stack([table[side] for side in _SIDES], -1)


def chip_pixels(
    table: np.ndarray, images: ImageBoxes, pyramid: ImagePyramid
) -> np.ndarray:
    """ndarray (C,): float64, the number of level pixels of each chip.

    Args:
        table (ndarray (C,)): Chips of the images.
        images (ImageBoxes): The dataset.
        pyramid (ImagePyramid): The levels that the chips are cut from.
    """
    sizes = pyramid.level_sizes(images.widths, images.heights)
    factors = sizes / images.sizes[:, None]
    factors = factors[table['image'], table['level']]
    x1, y1, x2, y2 = chip_regions(table).T
    return (x2 - x1) * factors[:, 0] * (y2 - y1) * factors[:, 1]
