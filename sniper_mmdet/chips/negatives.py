"""Negative chips: background that a detector takes for objects.

From SNIPER's negative chip selection and the released code: where proposals
are for a level but not in its positive chips, chips cover them greedily, and
those that hold many are candidates, of which each epoch draws a few.
"""

from typing import NamedTuple

import numpy as np

from .boxes import IN_REGION, LEAST_SIDE, ImageBoxes, clip_boxes
from .compiled import njit
from .cover import Levels, cover_level
from .pyramid import in_range
from .settings import ChipSettings, NegativeSettings
from .splitmix import next_random

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
    levels: Levels,
    states: np.ndarray,
) -> np.ndarray:
    """Negative chips of all images, some of an image's drawn at random.

    At each level the uncovered proposals (see :func:`uncovered_proposals`)
    are covered greedily; each belongs to the chip that first covered it, and
    a chip with enough of its own is a candidate. Unlike the released code,
    annotated boxes are not added to the proposals: where there are proposals
    at all, objects have theirs. And it knows no ignored region: it leaves
    out crowds when it reads COCO, so that they are background to it.

    Args:
        positives (ndarray (C,)): The positive chips, ordered by image.
        levels (Levels): Of the images.
        states (ndarray (N,)): uint64, an image's random state.

    Returns:
        ndarray (D, 4): int64, ordered by image; see :func:`make_table`.

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
    most = (counts[proposals.entries][:, None] // thresholds).sum(1)
    most = np.minimum(most, negatives.max_per_image).sum()
    found = np.empty((most, 4), np.int64)
    starts = np.searchsorted(positives['image'], np.arange(len(images) + 1))
    limits = settings.longest_sides(*images[:2], levels.stride)
    regions = images.regions, images.region_offsets
    per_image = np.tile(images.sizes, 2), limits, starts, states, regions
    rules = _rules(settings, negatives)
    kept = thresholds, int(negatives.max_per_image), found
    count = _mine(proposals[:4], positives, per_image, levels, rules, kept)
    if count < 0:
        _raise_bad_proposal(images, proposals, -count - 1)
    return found[:count]


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
    in that range too. Nor does one count, at any level, that lies in an
    ignored region (:data:`~sniper_mmdet.chips.boxes.IN_REGION`).

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
    size = images.widths[image], images.heights[image]
    stride = settings.stride_bounds[1] if stride is None else stride
    limits = settings.longest_sides(*size, stride)
    boxes, _ = clip_boxes(proposals.boxes[span], size)
    rules = _rules(settings, negatives)
    regions = images.regions[images.region_images == image]
    hides = rows, regions
    return _uncovered(boxes, proposals.scores[span], hides, limits, rules)


def _rules(settings, negatives) -> tuple[np.ndarray, float, float]:
    """Which proposals count, as :func:`_uncovered` takes it."""
    for_focus = settings.focus_sizes is not None
    bounds = negatives.bounds(settings.pyramid, for_focus)
    return bounds, settings.min_side, negatives.min_score


def _raise_bad_proposal(images, proposals, image) -> None:
    size = images.sizes[image]
    boxes, scores = (a[proposals.span(image)] for a in proposals[:2])
    pairs = zip(boxes[:, None], scores[:, None], strict=True)
    first = [_is_bad(*pair, np.tile(size, 2)) for pair in pairs].index(True)
    wrong = (
        f'lies outside of the image, {size[0]}x{size[1]}'
        if np.isfinite([*boxes[first], scores[first]]).all()
        else 'is not finite'
    )
    raise ValueError(
        f'{proposals.source}: proposal {first} of image {image} {wrong}. '
        f'Received: {boxes[first].tolist()}, score {scores[first]}.'
    )


@njit
def _is_bad(boxes, scores, ends):
    """Whether any proposal is not finite, or not in its image."""
    # Comparisons with NaN are false.
    inside = (boxes >= -_TOLERANCE) & (boxes <= ends + _TOLERANCE)
    return not (inside.all() and np.isfinite(scores).all())


@njit
def _lies_in(box, regions):
    """Whether the most part of a box lies in one of the regions."""
    x1, y1, x2, y2 = box
    least = IN_REGION * (x2 - x1) * (y2 - y1)
    for left, top, right, bottom in regions:
        w, h = min(x2, right) - max(x1, left), min(y2, bottom) - max(y1, top)
        if w > 0 and h > 0 and w * h > least:
            return True
    return False


@njit
def _uncovered(boxes, scores, hides, limits, rules):
    """:func:`uncovered_proposals` of an image, boxes clipped to it."""
    chips, regions = hides
    bounds, min_side, min_score = rules
    asking = np.zeros((len(boxes), len(bounds)), np.bool_)
    for k in range(len(boxes)):
        x1, y1, x2, y2 = boxes[k]
        w, h = x2 - x1, y2 - y1
        if scores[k] < min_score or w < min_side or h < min_side:
            continue
        if _lies_in(boxes[k], regions):
            continue
        for level in range(len(bounds)):
            low, high = bounds[level]
            if w >= limits[level, 0] or h >= limits[level, 1]:
                continue
            if w <= 0 or h <= 0 or not in_range(np.sqrt(w * h), low, high):
                continue
            most = seen_w = seen_h = 0.0
            for c in range(len(chips)):
                chip = chips[c]
                if chip.level != level:
                    continue
                cut_w = min(x2, chip.x2) - max(x1, chip.x1)
                cut_h = min(y2, chip.y2) - max(y1, chip.y1)
                if cut_w > 0 and cut_h > 0 and cut_w * cut_h > most:
                    most, seen_w, seen_h = cut_w * cut_h, cut_w, cut_h
            # Chips are stored in float32: what is whole may seem less.
            seen = seen_w >= LEAST_SIDE and seen_h >= LEAST_SIDE
            asking[k, level] = not seen or np.sqrt(most) < low - 1e-3
    return asking


@njit
def _mine(proposals, positives, per_image, levels, rules, kept):
    """Fill ``found``; its length, or -1 - image where a proposal is bad."""
    all_boxes, all_scores, offsets, entries = proposals
    ends, limits, starts, states, (regions, firsts) = per_image
    thresholds, max_per_image, found = kept
    count = 0
    for i in range(len(entries)):
        if entries[i] < 0:
            continue
        span = slice(offsets[entries[i]], offsets[entries[i] + 1])
        scores = all_scores[span]
        if _is_bad(all_boxes[span], scores, ends[i]):
            return -1 - i
        boxes = np.minimum(np.maximum(all_boxes[span], 0.0), ends[i])
        own = positives[starts[i] : starts[i + 1]]
        hides = own, regions[firsts[i] : firsts[i + 1]]
        asking = _uncovered(boxes, scores, hides, limits[i], rules)
        state = states[i : i + 1].copy()
        candidates = 0
        for level in range(len(thresholds)):
            held = boxes, asking[:, level]
            place = levels, i, level
            for x, y in cover_level(*held, *place, state, thresholds[level]):
                # Each candidate is drawn with the same chance.
                place = candidates
                candidates += 1
                if place >= max_per_image:
                    drawn = next_random(state) % np.uint64(candidates)
                    place = np.int64(drawn)
                if place < max_per_image:
                    found[count + place] = (i, level, x, y)
        count += min(candidates, max_per_image)
    return count
