"""Tiles: they cover, stay small, and hold each object whole."""

import math

import numpy as np
import pytest

from sniper_mmdet.chips.tiles import cut_into_tiles, owned_by, tile_overlap


@pytest.mark.parametrize('seed', range(30))
def test_cores_part_the_whole_and_tiles_reach_beyond(seed):
    rng = np.random.default_rng(seed)
    step = int(rng.choice([1, 8, 32]))
    overlap = rng.uniform(0, 100)
    first = rng.integers(0, 9, 2) * step
    part = np.concatenate([first, first + rng.integers(1, 1500, 2)])
    least = (2 * step * (math.ceil(overlap / 2 / step) + 1)) ** 2
    limit = int(least * rng.uniform(1, 9))
    tiles = cut_into_tiles(part.tolist(), limit, overlap, step)
    seen = np.zeros(part[:1:-1], int)
    for tile in tiles:
        x1, y1, x2, y2 = tile.core
        seen[y1:y2, x1:x2] += 1
        left, top, right, bottom = tile.part
        assert 0 < (right - left) * (bottom - top) <= limit
        # Half of the overlap on each side, or the end of the whole.
        for near, far, end in zip(tile.core, tile.part, part, strict=True):
            beyond = abs(near - far)
            assert near == far == end or 2 * beyond >= overlap
        assert not ((np.array(tile.core) - [*first, *first])[:2] % step).any()
        assert not ((np.array(tile.part) - [*first, *first])[:2] % step).any()
    x1, y1, x2, y2 = part
    assert (seen[y1:y2, x1:x2] == 1).all()
    assert seen.sum() == (x2 - x1) * (y2 - y1)


def test_what_is_small_enough_is_one_tile():
    part = [3, 5, 103, 105]
    assert cut_into_tiles(part, 10000, 900, 32) == [(part, part)]


def test_tiles_that_look_at_the_fewest_pixels():
    """A long part is cut one way; a square one may be cut in strips."""
    tiles = cut_into_tiles([0, 0, 1000, 100], 40000, 40, 10)
    assert [tile.part for tile in tiles] == [
        [0, 0, 360, 100],
        [320, 0, 680, 100],
        [640, 0, 1000, 100],
    ]
    assert [tile.core[::2] for tile in tiles] == [
        [0, 340],
        [340, 660],
        [660, 1000],
    ]
    tiles = cut_into_tiles([0, 0, 1000, 1000], 600000, 40, 10)
    assert [tile.part for tile in tiles] == [
        [0, 0, 520, 1000],
        [480, 0, 1000, 1000],
    ]


def test_each_centre_belongs_to_one_tile():
    tiles = cut_into_tiles([0, 0, 500, 400], 150**2, 40, 10)
    assert len(tiles) > 9
    rng = np.random.default_rng(0)
    # Some on the lines between cores, some beyond the ends.
    centres = np.append(
        rng.integers(-20, 520, (2000, 2)), rng.uniform(0, 400, (500, 2)), 0
    )
    boxes = np.concatenate([centres - 7, centres + 7], 1)
    assert (sum(owned_by(boxes, tile) for tile in tiles) == 1).all()
    # Those a little beyond belong to the next as well.
    line = tiles[0].core[2]
    box = np.array([[line - 4, 0, line + 6, 10]])
    assert not owned_by(box, tiles[0]).any()
    assert owned_by(box, tiles[0], 2).all() and owned_by(box, tiles[1]).all()
    assert not owned_by(box, tiles[0], 1).any()
    assert not owned_by(box, tiles[1], -2).any()
    (whole,) = cut_into_tiles([0, 0, 500, 400], 10**6, 40, 10)
    assert owned_by(np.append(boxes, [[np.nan] * 4], 0), whole).all()
    assert owned_by(np.zeros((0, 4)), tiles[0]).shape == (0,)


def test_overlap_of_a_range():
    """Twice the largest size, and two borders on each side."""
    assert tile_overlap(40, 10, (3000, 2000), 1.5, 2**22) == 180
    # No object of the image is larger: an open range.
    for high in (np.inf, 1500, 1225):
        assert tile_overlap(high, 10, (3000, 2000), 2, 2**22) == 512
    assert tile_overlap(1224, 10, (3000, 2000), 2, 2**22) == 4976


def test_tiles_below_their_overlap():
    with pytest.raises(ValueError) as error:
        cut_into_tiles([0, 0, 900, 700], 128**2, 100, 32)
    assert str(error.value) == (
        'max_pixels must be at least 25600: 900x700 pixels of a level are '
        'looked at in tiles, which overlap by 128 pixels so that no object '
        'is cut. Received: 16384.'
    )
    assert len(cut_into_tiles([0, 0, 900, 700], 25600, 100, 32)) > 9
    with pytest.raises(ValueError, match='must be at least 10240'):
        cut_into_tiles([0, 0, 900, 60], 2**12, 100, 32)
    assert len(cut_into_tiles([0, 0, 900, 60], 10240, 100, 32)) > 9
