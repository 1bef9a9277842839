"""Negative chips show background that a detector takes for objects.

The rule is SNIPER's negative chip selection and that of the released code. At
each level, chips greedily cover the proposals that fit the level and that no
positive chip shows. A chip that holds many of them is a candidate. Each epoch
samples a few candidates.
"""

from typing import NamedTuple

import numpy as np

from .boxes import IN_REGION, LEAST_SIDE, ImageBoxes, clip_boxes
from .compiled import njit
from .cover import Levels, cover_level
from .pyramid import in_range
from .settings import ChipSettings, NegativeSettings
from .splitmix import next_random

#: Original pixels by which rounding may move a proposal out of its image.
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
        source (str): Name of the proposals in error messages.
    """

    boxes: np.ndarray
    scores: np.ndarray
    offsets: np.ndarray
    entries: np.ndarray
    source: str = 'the proposals'

    def span(self, image: int) -> slice:
        """The slice of the boxes and scores of an image."""
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
    """Mine negative chips, and sample a few per image.

    At each level, chips greedily cover the uncovered proposals (see
    :func:`uncovered_proposals`). A proposal belongs to the chip that first
    covers it. A chip with enough proposals of its own is a candidate.

    There are two differences from the released code. It adds annotated boxes
    to the proposals; here they are not added, since an object has proposals
    wherever there are any. It knows no ignored regions: it leaves out crowds
    when it reads COCO, and so treats them as background.

    Args:
        positives (ndarray (C,)): The positive chips, ordered by image.
        levels (Levels): Levels of the images.
        states (ndarray (N,)): uint64, a random state per image.

    Returns:
        ndarray (D, 4): int64, ordered by image; see :func:`make_table`.

    Raises:
        ValueError: A proposal is not finite or lies outside its image, or the
            proposals are for another number of images.
    """
    if len(proposals.entries) != len(images):
        raise ValueError(
            f'{proposals.source} must have {len(images)} entries, one per '
            'image. '
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
    """Find the proposals of an image that negative chips should cover.

    A proposal counts at a level when its size is in the range of
    :class:`NegativeSettings` and it fits a chip, as in
    :func:`~sniper_mmdet.chips.valid_boxes`. It does not count where it is
    covered: take the positive chip of the level that shows most of it. The
    proposal is covered when the part that this chip shows has sides of at
    least one original pixel and a size in the same range. A proposal in an
    ignored region (:data:`~sniper_mmdet.chips.boxes.IN_REGION`) counts at no
    level.

    Args:
        images (ImageBoxes): The dataset.
        settings (ChipSettings): How chips are cut.
        negatives (NegativeSettings): Which proposals count.
        proposals (Proposals): Proposals on the dataset's images.
        table (ndarray (C,)): The dataset's chips; negative chips are not used.
        image (int): Index of the image.
        stride (int, optional): Defaults to the settings' largest.

    Returns:
        ndarray (K, L): bool, for each proposal of the image and each level.
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
    """The rules for proposals, as :func:`_uncovered` takes them."""
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
    """Test whether any proposal is not finite, or not in its image."""
    # Comparisons with NaN are false.
    inside = (boxes >= -_TOLERANCE) & (boxes <= ends + _TOLERANCE)
    return not (inside.all() and np.isfinite(scores).all())


@njit
def _lies_in(box, regions):
    """Test whether most of a box lies in one of the regions."""
    x1, y1, x2, y2 = box
    least = IN_REGION * (x2 - x1) * (y2 - y1)
    for left, top, right, bottom in regions:
        w, h = min(x2, right) - max(x1, left), min(y2, bottom) - max(y1, top)
        if w > 0 and h > 0 and w * h > least:
            return True
    return False


@njit
def _uncovered(boxes, scores, hides, limits, rules):
    """:func:`uncovered_proposals` of an image; boxes are clipped to it."""
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
            # Chips are stored in float32: a whole proposal may seem cut.
            seen = seen_w >= LEAST_SIDE and seen_h >= LEAST_SIDE
            asking[k, level] = not seen or np.sqrt(most) < low - 1e-3
    return asking


@njit
def _mine(proposals, positives, per_image, levels, rules, kept):
    """Fill ``found``; return its length, or -1 - image of a bad proposal."""
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
