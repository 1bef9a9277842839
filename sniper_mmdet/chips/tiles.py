"""Tiles: a part of a level that is too large for one look, in pieces.

Neighbours overlap by what an object of the level needs to lie whole in one of
them. The middle of the overlap parts them: a detection is kept by the tile
that its centre belongs to. Two tiles see an object a little apart; near the
line between them either keeps it, for it could be beyond the line for both.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: Sides of an object are up to so many times its size, sqrt(width * height):
#: those of one that is four times as long as wide.
_LONG = 2


class Tile(NamedTuple):
    """A piece that is looked at, (x1, y1, x2, y2), level pixels.

    Attributes:
        part (list[int]): What is looked at.
        core (list[int]): What it decides on, within the part. The cores of
            all tiles lie side by side. A side that both have is an end of
            the whole that was cut into tiles.
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
    """Level pixels by which tiles overlap, at least.

    As many as the sides of an object of the range; a border on both sides;
    and as much again, by which its centre may be beyond the line. In an open
    range objects may be as large as the image: tiles then overlap by a quarter
    of the side of a square tile, and larger objects may be lost where tiles
    meet. Objects are thought to be up to four times as long as wide.

    Args:
        high (float): Upper end of the level's valid range, original pixels;
            inf for none.
        border (float): Original pixels within which a side may cut an object.
        size (Sequence[int]): (width, height) of the level.
        factor (float): From original to level pixels.
        max_pixels (int): Of a tile.
    """
    if (high * factor) ** 2 >= size[0] * size[1]:
        return math.sqrt(max_pixels) / 4
    return (_LONG * high + 4 * border) * factor


def cut_into_tiles(
    part: Sequence[int], max_pixels: int, overlap: float, step: int
) -> list[Tile]:
    """Tiles of at most so many pixels, as few pixels as do it.

    Args:
        part (Sequence[int]): (x1, y1, x2, y2), level pixels. One that is
            small enough is one tile.
        max_pixels (int): Of a tile.
        overlap (float): Level pixels by which neighbours overlap, at least.
        step (int): Tiles and cores begin at multiples of it, counted from the
            part's corner.

    Raises:
        ValueError: A tile would be no larger than the overlap.
    """
    first, end = np.reshape(part, (2, 2))
    sides = end - first
    if sides.prod() <= max_pixels:
        return [Tile(list(part), list(part))]
    # From here on all is in steps, but for the ends.
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
    # The fewest rows and columns that do it are then made alike.
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
    """Begin and end of tiles, and of their cores, (N, 4), of one direction."""
    starts = np.minimum(np.arange(count) * (side - shared), length - side)
    ends = starts + side
    middles = (starts[1:] + ends[:-1]) // 2
    cores = np.append(0, middles), np.append(middles, length)
    return np.stack([starts, ends, *cores], 1)


def owned_by(boxes: np.ndarray, tile: Tile, reach: float = 0) -> np.ndarray:
    """Which boxes (N, 4), level pixels, have their centre in a tile's core.

    Or no further from it than ``reach``. What is beyond an end of the whole
    belongs to the tile that is there.

    Returns:
        ndarray (N,): bool.
    """
    part, core = np.array(tile.part), np.array(tile.core)
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    before = (centres < core[:2] - reach) & (part != core)[:2]
    behind = (centres >= core[2:] + reach) & (part != core)[2:]
    return ~(before | behind).any(1)
