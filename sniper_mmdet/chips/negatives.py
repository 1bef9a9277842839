"""Negative chips: background that a detector takes for objects.

From SNIPER's negative chip selection and the released code: where proposals
are for a level but not in its positive chips, chips cover them greedily, and
those that hold many are candidates, of which each epoch draws a few.
"""

from typing import NamedTuple

import numba
import numpy as np

from .boxes import ImageBoxes
from .cover import greedy_cover, next_random
from .pyramid import in_range
from .settings import ChipSettings, NegativeSettings
from .table import CHIP_DTYPE, chip_regions

#: Original pixels by which a proposal may stick out of its image: rounding.
_TOLERANCE = 1.0


class Proposals(NamedTuple):
    """Proposals of a dataset's images; the arrays may be mapped from a file.

    Attributes:
        boxes (ndarray (T, 4)): float32 (x1, y1, x2, y2), original pixels.
        scores (ndarray (T,)): float32.
        offsets (ndarray (P + 1,)): int64; entry p has the boxes
            ``boxes[offsets[p]:offsets[p + 1]]``.
        entries (ndarray (N,)): int64, the entry of each image of the dataset,
            in the dataset's order; -1 for an image without one.
        source (str): What errors call them.
    """

    boxes: np.ndarray
    scores: np.ndarray
    offsets: np.ndarray
    entries: np.ndarray
    source: str = 'the proposals'

    def span(self, image: int) -> slice:
        """Which boxes and scores are one image's."""
        entry = self.entries[image]
        if entry < 0:
            return slice(0, 0)
        return slice(*self.offsets[entry : entry + 2].tolist())


def mine_negatives(
    images: ImageBoxes,
    settings: ChipSettings,
    negatives: NegativeSettings,
    proposals: Proposals,
    positives: np.ndarray,
    stride: int,
    states: np.ndarray,
) -> np.ndarray:
    """Negative chips of all images, some of an image's drawn at random.

    At each level the uncovered proposals (see :func:`uncovered_proposals`)
    are covered greedily; each belongs to the chip that first covered it, and
    a chip with enough of its own is a candidate. Unlike the released code,
    annotated boxes are not added to the proposals: where there are proposals
    at all, objects have theirs.

    Args:
        images (ImageBoxes): The dataset.
        settings (ChipSettings): How chips are cut.
        negatives (NegativeSettings): Which are kept.
        proposals (Proposals): Of the dataset's images.
        positives (ndarray (C,)): Its positive chips, ordered by image.
        stride (int): Of the candidate grid, level pixels.
        states (ndarray (N,)): uint64, an image's random state.

    Returns:
        ndarray (D,): Rows of :data:`CHIP_DTYPE` ordered by image, ``seed`` 0.

    Raises:
        ValueError: A proposal that is not finite, or lies outside its image;
            proposals for another number of images.
    """
    if len(proposals.entries) != len(images):
        raise ValueError(
            f'{proposals.source} must have one entry an image, {len(images)}. '
            f'Received: {len(proposals.entries)}.'
        )
    thresholds = negatives.thresholds(len(settings.pyramid))
    counts = np.append(np.diff(proposals.offsets), 0)  # -1: none
    counts = counts[proposals.entries]
    most = (counts[:, None] // thresholds).sum(1)
    table = np.zeros(
        np.minimum(most, negatives.max_per_image).sum(), CHIP_DTYPE
    )
    count = _mine(
        images.widths,
        images.heights,
        settings.pyramid.level_sizes(images.widths, images.heights),
        negatives.bounds(settings.pyramid),
        settings.longest_sides(images.widths, images.heights, stride),
        settings.chip_size,
        stride,
        settings.min_side,
        proposals.boxes,
        proposals.scores,
        proposals.offsets,
        proposals.entries,
        np.searchsorted(positives['image'], np.arange(len(images) + 1)),
        positives['level'],
        chip_regions(positives),
        thresholds,
        int(negatives.max_per_image),
        negatives.min_score,
        states,
        table,
    )
    if count < 0:
        _raise_bad_proposal(images, proposals, -count - 1)
    return table[:count]


def uncovered_proposals(
    images: ImageBoxes,
    settings: ChipSettings,
    negatives: NegativeSettings,
    proposals: Proposals,
    table: np.ndarray,
    image: int,
    stride: int | None = None,
) -> np.ndarray:
    """Which proposals of an image ask for negative chips.

    A proposal counts at a level when it fits a chip as
    :func:`~sniper_mmdet.chips.valid_boxes` has it and its size is in the
    range of :class:`NegativeSettings`. It is covered, and does not count,
    when the part of it that a positive chip of the level shows, of the chip
    that shows most, is at least an original pixel each side and its size is
    in that range too.

    Args:
        images (ImageBoxes): The dataset.
        settings (ChipSettings): How chips are cut.
        negatives (NegativeSettings): Which proposals count.
        proposals (Proposals): Of the dataset's images.
        table (ndarray (C,)): The dataset's chips; negative ones do not
            matter.
        image (int): Index of the image.
        stride (int, optional): Defaults to the settings' largest.

    Returns:
        ndarray (K, L): bool, for each of the image's proposals and levels.
    """
    span = proposals.span(image)
    rows = table[(table['image'] == image) & table['positive']]
    width, height = images.widths[image], images.heights[image]
    stride = settings.stride_bounds[1] if stride is None else stride
    limits = settings.longest_sides(width, height, stride)
    found = np.zeros((span.stop - span.start, len(limits)), bool)
    kept = np.empty(len(found), np.int64)
    for level, bounds in enumerate(negatives.bounds(settings.pyramid)):
        num = _uncovered(
            proposals.boxes[span],
            proposals.scores[span],
            width,
            height,
            bounds,
            limits[level],
            level,
            settings.min_side,
            negatives.min_score,
            rows['level'],
            chip_regions(rows),
            kept,
        )
        found[kept[:num], level] = True
    return found


def _raise_bad_proposal(images, proposals, image) -> None:
    boxes = proposals.boxes[proposals.span(image)]
    scores = proposals.scores[proposals.span(image)]
    size = images.widths[image], images.heights[image]
    finite = np.isfinite(boxes).all(1) & np.isfinite(scores)
    inside = (boxes >= -_TOLERANCE) & (boxes <= np.tile(size, 2) + _TOLERANCE)
    first = np.flatnonzero(~(finite & inside.all(1)))[0]
    wrong = (
        f'lies outside of the image, {size[0]}x{size[1]}'
        if finite[first]
        else 'is not finite'
    )
    raise ValueError(
        f'{proposals.source}: proposal {first} of image {image} {wrong}. '
        f'Received: {boxes[first].tolist()}, score {scores[first]}.'
    )


@numba.njit(cache=True)
def _is_bad(boxes, scores, width, height):
    for k in range(len(boxes)):
        x1, y1, x2, y2 = boxes[k]
        # Comparisons with NaN are false.
        inside = (
            x1 >= -_TOLERANCE
            and y1 >= -_TOLERANCE
            and x2 <= width + _TOLERANCE
            and y2 <= height + _TOLERANCE
            and x1 <= width + _TOLERANCE
            and y1 <= height + _TOLERANCE
            and x2 >= -_TOLERANCE
            and y2 >= -_TOLERANCE
        )
        if not inside or not np.isfinite(scores[k]):
            return True
    return False


@numba.njit(cache=True)
def _uncovered(
    boxes,
    scores,
    width,
    height,
    bounds,
    limits,
    level,
    min_side,
    min_score,
    chip_levels,
    regions,
    kept,
):
    """Write indices of an image's uncovered proposals to kept; their number.

    See :func:`uncovered_proposals`.
    """
    low, high = bounds
    num = 0
    for k in range(len(boxes)):
        if scores[k] < min_score:
            continue
        x1, y1 = max(boxes[k, 0], 0.0), max(boxes[k, 1], 0.0)
        x2, y2 = min(boxes[k, 2], width), min(boxes[k, 3], height)
        w, h = x2 - x1, y2 - y1
        if w <= 0 or h <= 0 or w < min_side or h < min_side:
            continue
        if w >= limits[0] or h >= limits[1]:
            continue
        if not in_range(np.sqrt(w * h), low, high):
            continue
        most = seen_w = seen_h = 0.0
        for c in range(len(regions)):
            if chip_levels[c] != level:
                continue
            cut_w = min(x2, regions[c, 2]) - max(x1, regions[c, 0])
            cut_h = min(y2, regions[c, 3]) - max(y1, regions[c, 1])
            if cut_w > 0 and cut_h > 0 and cut_w * cut_h > most:
                most, seen_w, seen_h = cut_w * cut_h, cut_w, cut_h
        # Chips are stored in float32: what is whole may seem less.
        if seen_w >= 1 and seen_h >= 1 and np.sqrt(most) >= low - 1e-3:
            continue
        kept[num] = k
        num += 1
    return num


@numba.njit(cache=True)
def _mine(
    widths,
    heights,
    sizes,
    bounds,
    limits,
    chip,
    stride,
    min_side,
    all_boxes,
    all_scores,
    offsets,
    entries,
    chip_starts,
    all_levels,
    all_regions,
    thresholds,
    max_per_image,
    min_score,
    states,
    table,
):
    """Fill the table; its length, or -1 - image where a proposal is bad."""
    count = 0
    state = np.empty(1, np.uint64)
    for i in range(len(widths)):
        entry = entries[i]
        if entry < 0:
            continue
        boxes = all_boxes[offsets[entry] : offsets[entry + 1]]
        scores = all_scores[offsets[entry] : offsets[entry + 1]]
        if _is_bad(boxes, scores, widths[i], heights[i]):
            return -1 - i
        state[0] = states[i]
        chip_levels = all_levels[chip_starts[i] : chip_starts[i + 1]]
        regions = all_regions[chip_starts[i] : chip_starts[i + 1]]
        kept = np.empty(len(boxes), np.int64)
        boxes_level = np.empty((len(boxes), 4), np.float64)
        candidates = 0
        for level in range(sizes.shape[1]):
            width, height = sizes[i, level]
            num = _uncovered(
                boxes,
                scores,
                widths[i],
                heights[i],
                bounds[level],
                limits[i, level],
                level,
                min_side,
                min_score,
                chip_levels,
                regions,
                kept,
            )
            if num < thresholds[level]:
                continue
            fx, fy = width / widths[i], height / heights[i]
            for n in range(num):
                box = boxes[kept[n]]
                boxes_level[n, 0] = max(box[0], 0.0) * fx
                boxes_level[n, 1] = max(box[1], 0.0) * fy
                boxes_level[n, 2] = min(box[2], widths[i]) * fx
                boxes_level[n, 3] = min(box[3], heights[i]) * fy
            chips, _ = greedy_cover(
                boxes_level[:num],
                width,
                height,
                chip,
                stride,
                state,
                thresholds[level],
            )
            for c in range(len(chips)):
                # Each candidate is drawn with the same chance.
                place = candidates
                candidates += 1
                if place >= max_per_image:
                    place = np.int64(
                        next_random(state) % np.uint64(candidates)
                    )
                    if place >= max_per_image:
                        continue
                row = table[count + place]
                row.image = i
                row.level = level
                row.positive = False
                row.x1 = chips[c, 0] / fx
                row.y1 = chips[c, 1] / fy
                row.x2 = min(chips[c, 0] + chip, width) / fx
                row.y2 = min(chips[c, 1] + chip, height) / fy
        count += min(candidates, max_per_image)
    return count
