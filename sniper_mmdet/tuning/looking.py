"""Fast simulation of AutoFocus with FocusPixels of annotated boxes.

The results are those of :mod:`sniper_mmdet.chips.focus`, which works on masks.
This module works on corners alone: the FocusPixels of a box form a rectangle
of cells, and so do all later steps.

All compiled functions are in this file, because Numba's cache notices changes
in the file of a function only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sniper_mmdet.chips import (
    FocusSettings,
    ImageBoxes,
    ImagePyramid,
    box_sizes,
)
from sniper_mmdet.chips.compiled import njit


class Looked(NamedTuple):
    """Pixels that AutoFocus looks at, and boxes that it reaches.

    Attributes:
        pixels (ndarray (N, L)): int64, number of pixels of each image and
            level, level pixels.
        largest (ndarray (N,)): int64, number of level pixels of the largest
            part of each image that is looked at in one piece.
        reached (ndarray (M,)): bool, whether a box lies in the parts that
            AutoFocus looks at of a level whose range holds its size.
    """

    pixels: np.ndarray
    largest: np.ndarray
    reached: np.ndarray


def look(
    images: ImageBoxes,
    pyramid: ImagePyramid,
    sizes: Sequence[float],
    focus: Sequence[FocusSettings],
    stride: int = 16,
    border: float = 0,
) -> Looked:
    """Simulate what AutoFocus looks at and reaches with a perfect focus head.

    Args:
        images (ImageBoxes): The data set.
        pyramid (ImagePyramid): Levels and valid ranges of testing.
        sizes (Sequence[float]): ``sizes`` of FocusPixels, level pixels.
        focus (Sequence[FocusSettings]): Settings of each level but the finest;
            their thresholds have no effect.
        stride (int): Stride of FocusPixels, level pixels. Defaults to 16.
        border (float): Original pixels. A FocusChip does not reach a box that
            is closer than this to one of its sides, unless that side is the
            image's. Defaults to 0.
    """
    levels = pyramid.level_sizes(images.widths, images.heights)
    pixels = np.zeros(levels.shape[:2], np.int64)
    largest = np.zeros(len(images), np.int64)
    valid = pyramid.is_valid(box_sizes(images.boxes))
    reached = valid[:, 0].copy()
    steps = [(step.dilation, step.min_size) for step in focus]
    steps = np.array(steps, np.int64).reshape(-1, 2)
    span = np.array(sizes[:2], float)
    _look(
        images.boxes.astype(float),
        images.offsets,
        images.sizes,
        levels,
        valid,
        (span, steps, stride, float(border)),
        (pixels, largest, reached),
    )
    return Looked(pixels, largest, reached)


@njit
def _look(boxes, offsets, sides, levels, valid, settings, found):
    """Fill the arrays of results, image by image."""
    span, steps, stride, border = settings
    pixels, largest, reached = found
    for i in range(len(sides)):
        own = slice(offsets[i], offsets[i + 1])
        first = np.zeros((1, 4), np.int64)
        first[0, 2:] = levels[i, 0]
        chips = first
        pixels[i, 0] = largest[i] = levels[i, 0, 0] * levels[i, 0, 1]
        for k in range(len(steps)):
            size, finer = levels[i, k], levels[i, k + 1]
            there = _scaled(boxes[own], size / sides[i])
            cells = _true_cells(there, span, chips, size, steps[k, 0], stride)
            chips = _focus_chips(cells, size, steps[k, 1], stride)
            chips = _move_chips(chips, size, finer, stride)
            for c in range(len(chips)):
                area = (chips[c, 2] - chips[c, 0]) * (
                    chips[c, 3] - chips[c, 1]
                )
                pixels[i, k + 1] += area
                largest[i] = max(largest[i], area)
            there = _scaled(boxes[own], finer / sides[i])
            # Levels have whole pixels, so that a border may be off by one.
            margin = border * finer / sides[i] if border else -np.ones(2)
            for b in range(len(there)):
                if valid[own.start + b, k + 1] and _inside(
                    there[b], chips, finer, margin
                ):
                    reached[own.start + b] = True


@njit
def _scaled(boxes, factors):
    scaled = np.empty_like(boxes)
    for axis in range(4):
        scaled[:, axis] = boxes[:, axis] * factors[axis % 2]
    return scaled


@njit
def _inside(box, chips, size, margin):
    """Whether a box lies in a chip, away from the chip's inner sides.

    Chips are sorted by their left sides.
    """
    for c in range(len(chips)):
        if chips[c, 0] > box[0] + 1:
            break
        if chips[c, 2] < box[2] - 1:
            continue
        inside = True
        for axis in range(2):
            first, last = chips[c, axis], chips[c, axis + 2]
            before = margin[axis] if first > 0 else -1.0
            after = margin[axis] if last < size[axis] else -1.0
            inside &= box[axis] >= first + before
            inside &= box[axis + 2] <= last - after
        if inside:
            return True
    return False


@njit
def _true_cells(boxes, span, chips, size, dilation, stride):
    """Dilated cells of each box that marks FocusPixels in chips.

    Chips are sorted by their left sides.
    """
    # An even side has its larger half after the cell.
    before, after = (dilation - 1) // 2, dilation // 2
    found = []
    for b in range(len(boxes)):
        sides = boxes[b, 2:] - boxes[b, :2]
        extent = np.sqrt(max(sides[0], 0.0) * max(sides[1], 0.0))
        if not span[0] < extent < span[1]:
            continue
        begin = int(np.floor(boxes[b, 0] / stride))
        end = int(np.ceil(boxes[b, 2] / stride)) + 1
        for c in range(len(chips)):
            if chips[c, 0] // stride >= end:
                break
            if chips[c, 2] // stride < begin:
                continue
            rect = np.empty(4, np.int64)
            for axis in range(2):
                cells = -(-size[axis] // stride)
                first = max(
                    int(np.floor(boxes[b, axis] / stride)),
                    chips[c, axis] // stride,
                )
                last = min(
                    int(np.ceil(boxes[b, axis + 2] / stride)) + 1,
                    chips[c, axis + 2] // stride + 1,
                    cells,
                )
                rect[axis], rect[axis + 2] = first - before, last + after
                if first >= last:
                    rect[axis + 2] = -1
                rect[axis] = max(rect[axis], 0)
                rect[axis + 2] = min(rect[axis + 2], cells)
            if rect[0] < rect[2] and rect[1] < rect[3]:
                found.append((rect[0], rect[1], rect[2], rect[3]))
    cells = np.empty((len(found), 4), np.int64)
    for row in range(len(found)):
        for axis in range(4):
            cells[row, axis] = found[row][axis]
    return cells


@njit
def _focus_chips(cells, size, min_size, stride):
    """Like :func:`~sniper_mmdet.chips.focus.focus_chips`, from cells."""
    counts = -(-size // stride)
    least = np.minimum(-(-min_size // stride), counts)
    chips = _merged(cells, least, counts)
    for axis in range(2):
        for c in range(len(chips)):
            first, last = chips[c, axis], chips[c, axis + 2]
            first, last = first * stride, min(last * stride, size[axis])
            # The last cell may stick out of the level.
            short = min(least[axis] * stride, size[axis]) - (last - first)
            chips[c, axis], chips[c, axis + 2] = first - max(short, 0), last
    return chips


@njit
def _move_chips(chips, size, finer, stride):
    """Like :func:`~sniper_mmdet.chips.focus.move_chips`."""
    ratio = finer / size / stride
    moved = np.empty_like(chips)
    for c in range(len(chips)):
        for axis in range(2):
            first, last = chips[c, axis], chips[c, axis + 2]
            moved[c, axis] = int(np.floor(first * ratio[axis] + 1e-6))
            moved[c, axis + 2] = int(np.ceil(last * ratio[axis] - 1e-6))
    counts = -(-finer // stride)
    moved = _merged(moved, np.ones(2, np.int64), counts)
    for axis in range(4):
        moved[:, axis] = np.minimum(moved[:, axis] * stride, finer[axis % 2])
    return moved


@njit
def _merged(chips, least, counts):
    """Merge boxes of cells and grow them about their centres until apart."""
    before = -1
    while True:
        chips = _joined(chips)
        if len(chips) == before:
            return chips
        before = len(chips)
        for c in range(len(chips)):
            for axis in range(2):
                first, last = chips[c, axis], chips[c, axis + 2]
                side = max(last - first, least[axis])
                first = (first + last - side) // 2
                first = min(max(first, 0), counts[axis] - side)
                chips[c, axis], chips[c, axis + 2] = first, first + side


@njit
def _joined(boxes):
    """Replace boxes that touch, also at corners, by one box around them."""
    boxes = boxes[np.argsort(boxes[:, 0])]
    group = np.arange(len(boxes))
    for i in range(len(boxes)):
        for j in range(i + 1, len(boxes)):
            if boxes[j, 0] > boxes[i, 2]:
                break
            if boxes[j, 1] <= boxes[i, 3] and boxes[i, 1] <= boxes[j, 3]:
                a, b = _root(group, i), _root(group, j)
                group[max(a, b)] = min(a, b)
    count = 0
    place = np.empty(len(boxes), np.int64)
    joined = boxes.copy()
    for i in range(len(boxes)):
        root = _root(group, i)
        if root == i:
            place[i] = count
            joined[count] = boxes[i]
            count += 1
        else:
            own = joined[place[root]]
            own[:2] = np.minimum(own[:2], boxes[i, :2])
            own[2:] = np.maximum(own[2:], boxes[i, 2:])
    return joined[:count]


@njit
def _root(group, i):
    while group[i] != i:
        group[i] = group[group[i]]
        i = group[i]
    return i
