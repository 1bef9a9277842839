"""Tiles: pieces of a part of a level that is too large for one pass.

Neighbours overlap so far that an object of the level lies whole in one of
them. The line between two tiles is the middle of their overlap. A detection
belongs to the tile in which its centre lies. Two tiles may place the same
object a little differently, so that its centre is beyond the line for both.
Near the line either tile therefore keeps it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: Longest side of an object, in multiples of its size, sqrt(width * height):
#: the side of an object that is four times as long as wide.
_LONG = 2


class Tile(NamedTuple):
    """A piece that the detector looks at, (x1, y1, x2, y2), level pixels.

    Attributes:
        part (list[int]): The rectangle that is looked at.
        core (list[int]): The rectangle within the part whose detections the
            tile keeps. The cores of all tiles lie side by side. A side that
            core and part share is an end of the whole that was cut into tiles.
    """

    part: list[int]
    core: list[int]


def tile_overlap(
    high: float,
    border: float,
    size: Sequence[int],
    factor: float,
    max_pixels: int,
) -> float:
    """The least overlap of tiles, level pixels.

    The overlap has room for the longest side of an object of the range, for a
    border on both sides, and for as much again, by which the object's centre
    may be beyond the line. In an open range objects may be as large as the
    image. Tiles then overlap by a quarter of the side of a square tile, and
    larger objects may be lost where tiles meet. Objects are assumed to be at
    most four times as long as wide.

    Args:
        high (float): Upper end of the level's valid range, original pixels;
            inf for none.
        border (float): Original pixels within which a side may cut an object.
        size (Sequence[int]): (width, height) of the level.
        factor (float): From original to level pixels.
        max_pixels (int): Largest number of pixels of a tile.
    """
    if (high * factor) ** 2 >= size[0] * size[1]:
        return math.sqrt(max_pixels) / 4
    return (_LONG * high + 4 * border) * factor


def cut_into_tiles(
    part: Sequence[int], max_pixels: int, overlap: float, step: int
) -> list[Tile]:
    """Cut a part into tiles of limited size, with few pixels in total.

    Args:
        part (Sequence[int]): (x1, y1, x2, y2), level pixels. A part that is
            small enough is one tile.
        max_pixels (int): Largest number of pixels of a tile.
        overlap (float): Least overlap of neighbours, level pixels.
        step (int): Tiles and cores begin at multiples of it, counted from the
            part's corner.

    Raises:
        ValueError: A tile would be no larger than the overlap.

    Examples:
        >>> from sniper_mmdet.chips.tiles import cut_into_tiles
        >>> part = 0, 0, 1000, 300
        >>> tiles = cut_into_tiles(
        ...     part, max_pixels=512 * 320, overlap=64, step=32)
        >>> [tile.part for tile in tiles]
        [[0, 0, 384, 300], [320, 0, 704, 300], [640, 0, 1000, 300]]
    """
    first, end = np.reshape(part, (2, 2))
    sides = end - first
    if sides.prod() <= max_pixels:
        return [Tile(list(part), list(part))]
    # From here on all lengths are in steps, except for the ends.
    half = math.ceil(overlap / 2 / step)
    shared, (across, down) = 2 * half, -(-sides // step)

    def tiles_along(length: int, side: np.ndarray) -> np.ndarray:
        count = -(-(length - shared) // np.maximum(side - shared, 1))
        return np.maximum(count, 1)

    width = np.arange(min(shared + 1, across), across + 1)
    height = np.minimum(max_pixels // step**2 // width, down)
    fits = (height > shared) | (height == down)
    if not fits.any():
        least = np.minimum(shared + 1, (across, down)).prod() * step**2
        raise ValueError(
            f'max_pixels must be at least {least}: {sides[0]}x{sides[1]} '
            'pixels of a level are looked at in tiles, which overlap by '
            f'{shared * step} pixels so that no object is cut. '
            f'Received: {max_pixels}.'
        )
    counts = [tiles_along(across, width), tiles_along(down, height)]
    # The fewest rows and columns are then made equally large.
    even = [
        -(-(length - shared) // count) + shared
        for length, count in zip((across, down), counts, strict=True)
    ]
    pixels = np.where(fits, np.prod(counts + even, 0), np.inf)
    best = pixels.argmin()
    columns, rows = (
        _along(length, count[best], side[best], shared) * step + origin
        for length, count, side, origin in zip(
            (across, down), counts, even, first, strict=True
        )
    )
    # The last step may stick out.
    columns, rows = np.minimum(columns, end[0]), np.minimum(rows, end[1])
    return [
        Tile([left, top, right, bottom], [x1, y1, x2, y2])
        for top, bottom, y1, y2 in rows.tolist()
        for left, right, x1, x2 in columns.tolist()
    ]


def _along(length: int, count: int, side: int, shared: int) -> np.ndarray:
    """Begin and end of tiles and of their cores along one axis, (N, 4)."""
    starts = np.minimum(np.arange(count) * (side - shared), length - side)
    ends = starts + side
    middles = (starts[1:] + ends[:-1]) // 2
    cores = np.append(0, middles), np.append(middles, length)
    return np.stack([starts, ends, *cores], 1)


def owned_by(boxes: np.ndarray, tile: Tile, reach: float = 0) -> np.ndarray:
    """Find the boxes whose centre lies in a tile's core.

    ``boxes`` (N, 4) are in level pixels. A centre may be up to ``reach``
    outside the core. A box beyond an end of the whole belongs to the tile at
    that end.

    Returns:
        ndarray (N,): bool.
    """
    part, core = np.array(tile.part), np.array(tile.core)
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    before = (centres < core[:2] - reach) & (part != core)[:2]
    behind = (centres >= core[2:] + reach) & (part != core)[2:]
    return ~(before | behind).any(1)
