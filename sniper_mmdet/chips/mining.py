"""Chips of a whole dataset (SNIPER, section 3.1)."""

import numba
import numpy as np

from .boxes import ImageBoxes, box_sizes, whole_in
from .cover import greedy_cover
from .negatives import Proposals, mine_negatives
from .settings import ChipSettings, NegativeSettings
from .table import CHIP_DTYPE, chip_regions


def valid_boxes(
    images: ImageBoxes, settings: ChipSettings, stride: int | None = None
) -> np.ndarray:
    """For which boxes chips are cut at which level.

    A box is valid at a level when its size is in the level's range, its sides
    are at least ``min_side``, and, along each side on which the level is
    larger than a chip, it is shorter than ``chip_size - stride - 1`` level
    pixels: such a box fits some chip wherever it lies.

    Args:
        images (ImageBoxes): The dataset.
        settings (ChipSettings): How chips are cut.
        stride (int, optional): Defaults to the settings' largest.

    Returns:
        ndarray (M, L): bool.
    """
    stride = settings.stride_bounds[1] if stride is None else stride
    limits = settings.longest_sides(images.widths, images.heights, stride)
    of_box = np.repeat(np.arange(len(images)), np.diff(images.offsets))
    box_sides = images.boxes[:, 2:] - images.boxes[:, :2]
    fits = (box_sides[:, None] < limits[of_box]).all(2)
    fits &= (box_sides >= settings.min_side).all(1)[:, None]
    return fits & settings.pyramid.is_valid(box_sizes(images.boxes))


def draw_stride(settings: ChipSettings, seed: int, epoch: int) -> int:
    """The stride of an epoch's grid, level pixels."""
    return _start(settings, seed, epoch)[1]


def _start(settings, seed, epoch) -> tuple[np.random.Generator, int]:
    rng = np.random.default_rng([seed, epoch])
    low, high = settings.stride_bounds
    return rng, int(rng.integers(low, high + 1))


def mine_chips(
    images: ImageBoxes,
    settings: ChipSettings,
    seed: int = 0,
    epoch: int = 0,
    proposals: Proposals | None = None,
    negatives: NegativeSettings | None = None,
) -> np.ndarray:
    """Chips of all images: a pure function of its arguments.

    At each level the valid boxes are covered greedily by chips on a stride
    grid; with proposals, negative chips are added. The chips of an image
    depend on its place in the data set, not on what the other images hold;
    their ``seed`` depends on both. Positive chips do not depend on proposals.

    Args:
        images (ImageBoxes): The dataset.
        settings (ChipSettings): How chips are cut.
        seed (int): Defaults to 0.
        epoch (int): Defaults to 0.
        proposals (Proposals, optional): Of the dataset's images. Defaults to
            None: no negative chips.
        negatives (NegativeSettings, optional): Which negative chips are
            kept. Defaults to None: the released settings.

    Returns:
        ndarray (C,): The chip table, :data:`CHIP_DTYPE`, ordered by image and
        level, positive chips first.

    Raises:
        ValueError: A proposal that is not finite, or lies outside its image.
    """
    rng, stride = _start(settings, seed, epoch)
    states = rng.integers(0, 2**64, len(images), np.uint64)
    sizes = settings.pyramid.level_sizes(images.widths, images.heights)
    valid = valid_boxes(images, settings, stride)
    table = np.empty(np.count_nonzero(valid), CHIP_DTYPE)
    count = _mine(
        images.widths,
        images.heights,
        images.boxes,
        images.offsets,
        sizes,
        valid,
        settings.chip_size,
        stride,
        states,
        table,
    )
    table = table[:count].copy()
    table['seed'] = rng.integers(0, 2**32, count, np.uint32)
    if proposals is None:
        return table
    states = rng.integers(0, 2**64, len(images), np.uint64)
    mined = mine_negatives(
        images,
        settings,
        negatives or NegativeSettings(),
        proposals,
        table,
        stride,
        states,
    )
    mined['seed'] = rng.integers(0, 2**32, len(mined), np.uint32)
    table = np.concatenate([table, mined])
    return table[np.lexsort((table['level'], table['image']))]


@numba.njit(cache=True)
def _mine(
    widths, heights, boxes, offsets, sizes, valid, chip, stride, states, table
):
    count = 0
    state = np.empty(1, np.uint64)
    for i in range(len(widths)):
        first, final = offsets[i], offsets[i + 1]
        state[0] = states[i]
        boxes_level = np.empty((final - first, 4), np.float64)
        for level in range(sizes.shape[1]):
            width, height = sizes[i, level]
            fx, fy = width / widths[i], height / heights[i]
            num = 0
            for k in range(first, final):
                if valid[k, level]:
                    boxes_level[num, 0] = boxes[k, 0] * fx
                    boxes_level[num, 1] = boxes[k, 1] * fy
                    boxes_level[num, 2] = boxes[k, 2] * fx
                    boxes_level[num, 3] = boxes[k, 3] * fy
                    num += 1
            if num == 0:
                continue
            chips, _ = greedy_cover(
                boxes_level[:num], width, height, chip, stride, state
            )
            for c in range(len(chips)):
                row = table[count]
                row.image = i
                row.level = level
                row.positive = True
                row.x1 = chips[c, 0] / fx
                row.y1 = chips[c, 1] / fy
                row.x2 = min(chips[c, 0] + chip, width) / fx
                row.y2 = min(chips[c, 1] + chip, height) / fy
                count += 1
    return count


def assign_boxes(
    images: ImageBoxes, settings: ChipSettings, table: np.ndarray
) -> np.ndarray:
    """Assign boxes to the chips that hold them whole, whatever their size.

    Returns:
        ndarray (M, L): int64, the first row of the table that holds the box
        at each level; -1 where none does.
    """
    assigned = np.full((len(images.boxes), len(settings.pyramid)), -1)
    regions = chip_regions(table)
    starts = np.searchsorted(table['image'], np.arange(len(images) + 1))
    for i in range(len(images)):
        rows = np.arange(starts[i], starts[i + 1])
        span = slice(images.offsets[i], images.offsets[i + 1])
        inside = whole_in(images.boxes[span, None], regions[rows])
        for level in range(assigned.shape[1]):
            holds = inside & (table['level'][rows] == level)
            held = holds.any(1)
            first = holds.argmax(1) if len(rows) else held
            assigned[span, level] = np.where(held, starts[i] + first, -1)
    return assigned


def box_coverage(
    images: ImageBoxes, settings: ChipSettings, table: np.ndarray
) -> np.ndarray:
    """Which boxes lie whole in a chip of a level that is for their size.

    Returns:
        ndarray (M, L): bool.
    """
    in_range = settings.pyramid.is_valid(box_sizes(images.boxes))
    return in_range & (assign_boxes(images, settings, table) >= 0)
