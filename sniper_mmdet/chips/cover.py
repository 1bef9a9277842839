"""Greedy maximum cover of boxes by chips of one size on a stride grid.

Candidate chips of a level are all pairs of an x and a y position, so that the
candidates that hold a box form a rectangle of the grid. All counts come from
one difference array, and a chip that is taken changes the counts of the boxes
it covers only: no chip is ever compared with every box (SNIPER, section 3.1).
"""

import math
from typing import NamedTuple

import numpy as np

from .boxes import ImageBoxes
from .compiled import njit
from .settings import ChipSettings
from .splitmix import advance, random_after

# Level pixels. A box that sticks out of a chip by less does not count as cut.
# The value is above the error of float64.
_EPS = 1e-6


@njit
def axis_positions(extent, chip, stride):
    """Chip positions along one axis: 0, stride, ... and ``extent - chip``."""
    last = max(extent - chip, 0)
    count = (last + stride - 1) // stride + 1
    positions = np.arange(count) * stride
    positions[-1] = last
    return positions


@njit
def _holding(low, high, positions, chip, stride):
    """First and last grid index of the chips that hold (low, high)."""
    first = max(math.ceil((high - chip - _EPS) / stride), 0)
    final = min(math.floor((low + _EPS) / stride), len(positions) - 1)
    # The last position is off the regular grid, never beyond it.
    if positions[-1] <= low + _EPS:
        final = len(positions) - 1
    return first, final


@njit
def greedy_cover(boxes_level, width, height, chip, stride, state, enough=1):
    """Cover boxes greedily by few chips.

    The candidate chip that holds most boxes not yet covered is taken, again
    and again, until no candidate holds enough of them. Ties are broken at
    random. A box is covered when it lies whole in a chip.

    Args:
        boxes_level (ndarray (N, 4)): Level pixels.
        width, height (int): The level's image size.
        chip (int): Side of a chip in level pixels.
        stride (int): Stride of the grid of candidates, level pixels.
        state (ndarray (1,)): uint64 generator state, advanced in place.
        enough (int): Least number of uncovered boxes that a chip must cover to
            be taken. Defaults to 1.

    Returns:
        tuple: Chips ``(C, 2)`` int64, x and y of the upper left corner in
        level pixels, in the order taken; and ``(N,)`` int64, for each box the
        chip that first covered it, -1 if no chip holds it.
    """
    num_boxes = len(boxes_level)
    xs = axis_positions(width, chip, stride)
    ys = axis_positions(height, chip, stride)
    nx, ny = len(xs), len(ys)
    owner = np.full(num_boxes, -1, np.int64)
    chips = np.empty((num_boxes, 2), np.int64)
    spans = np.empty((num_boxes, 4), np.int64)
    todo = np.empty(num_boxes, np.int64)
    num_todo = 0
    counts = np.zeros((ny + 1, nx + 1), np.int32)
    for i in range(num_boxes):
        x1, y1, x2, y2 = boxes_level[i]
        ix0, ix1 = _holding(x1, x2, xs, chip, stride)
        iy0, iy1 = _holding(y1, y2, ys, chip, stride)
        if ix0 > ix1 or iy0 > iy1:
            continue
        spans[i] = (ix0, ix1, iy0, iy1)
        todo[num_todo] = i
        num_todo += 1
        counts[iy0, ix0] += 1
        counts[iy0, ix1 + 1] -= 1
        counts[iy1 + 1, ix0] -= 1
        counts[iy1 + 1, ix1 + 1] += 1
    for y in range(ny):
        for x in range(1, nx):
            counts[y, x] += counts[y, x - 1]
    for y in range(1, ny):
        for x in range(nx):
            counts[y, x] += counts[y - 1, x]

    most, cells = np.zeros(ny, np.int32), np.zeros(ny, np.int32)
    _summarise(counts, nx, 0, ny, most, cells)
    num_chips = 0
    while num_todo > 0:
        best, bx, by = _draw_largest(counts, nx, most, cells, state)
        if best < enough:
            break
        chips[num_chips] = (xs[bx], ys[by])
        kept, top, end = 0, ny, 0
        for k in range(num_todo):
            i = todo[k]
            ix0, ix1, iy0, iy1 = spans[i]
            if ix0 <= bx <= ix1 and iy0 <= by <= iy1:
                owner[i] = num_chips
                for y in range(iy0, iy1 + 1):
                    for x in range(ix0, ix1 + 1):
                        counts[y, x] -= 1
                top, end = min(top, iy0), max(end, iy1 + 1)
            else:
                todo[kept] = i
                kept += 1
        _summarise(counts, nx, top, end, most, cells)
        num_todo = kept
        num_chips += 1
    return chips[:num_chips], owner


@njit
def _summarise(counts, nx, top, end, most, cells):
    """The largest count of each row, and how many cells have it."""
    for y in range(top, end):
        row = counts[y]
        largest = np.int32(0)
        for x in range(nx):
            largest = max(largest, row[x])
        num = np.int32(0)
        for x in range(nx):
            num += np.int32(row[x] == largest)
        most[y], cells[y] = largest, num


@njit
def _draw_largest(counts, nx, most, cells, state):
    """The largest count, and x and y of a random cell that has it.

    The result is that of reservoir sampling over all cells, row by row: the
    t-th cell that equals the largest count so far replaces the one before with
    a chance of 1 / t. Rows with smaller counts are not read, and equal rows
    are only counted. Random numbers that decide nothing are skipped.
    """
    best, ties = 1, 0
    for y in range(len(most)):
        if most[y] == best:
            ties += cells[y]
        elif most[y] > best:
            for x in range(nx):
                if counts[y, x] > best:
                    advance(state, max(ties - 1, 0))
                    best, ties = counts[y, x], 1
                elif counts[y, x] == best:
                    ties += 1
    drawn = ties
    while drawn > 1 and random_after(state, drawn - 1) % np.uint64(drawn) != 0:
        drawn -= 1
    advance(state, max(ties - 1, 0))
    y = 0
    while most[y] < best or drawn > cells[y]:
        if most[y] == best:
            drawn -= cells[y]
        y += 1
    x = -1
    while drawn > 0:
        x += 1
        drawn -= counts[y, x] == best
    return best, x, y


class Levels(NamedTuple):
    """The levels of all images, and the grid on which chips are cut."""

    sizes: np.ndarray  # (N, L, 2): int64 (width, height)
    factors: np.ndarray  # (N, L, 4): from original to level pixels
    chip: int
    stride: int

    @classmethod
    def of(
        cls, images: ImageBoxes, settings: ChipSettings, stride: int
    ) -> 'Levels':
        sizes = settings.pyramid.level_sizes(images.widths, images.heights)
        factors = np.tile(sizes / images.sizes[:, None], 2)
        return cls(sizes, factors, settings.chip_size, stride)


@njit
def cover_level(boxes, held, levels, image, level, state, enough=1):
    """Chips of :func:`greedy_cover` for the boxes (N, 4) where ``held``.

    ``boxes`` are in original pixels; ``held`` (N,) is bool.
    """
    factors = levels.factors[image, level]
    boxes_level = np.empty((len(boxes), 4), np.float64)
    num = 0
    for k in range(len(boxes)):
        if held[k]:
            for side in range(4):
                boxes_level[num, side] = boxes[k, side] * factors[side]
            num += 1
    if num < enough:
        return np.empty((0, 2), np.int64)
    width, height = levels.sizes[image, level]
    grid = (width, height, levels.chip, levels.stride)
    return greedy_cover(boxes_level[:num], *grid, state, enough)[0]
