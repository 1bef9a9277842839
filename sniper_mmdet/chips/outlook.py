"""What settings cost and cover on a data set, and what there is to see."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .boxes import ImageBoxes, box_sizes
from .focus import focus_chips, focus_labels, move_chips
from .mining import mine_chips, valid_boxes
from .pyramid import ImagePyramid
from .settings import ChipSettings, FocusSettings
from .statistics import chip_statistics


def outlook(
    images: ImageBoxes,
    settings: ChipSettings,
    test_pyramid: ImagePyramid | None = None,
    seed: int = 0,
) -> dict:
    """What settings cost and cover: :func:`chip_statistics` of one epoch.

    Args:
        images (ImageBoxes): The data set.
        settings (ChipSettings): Of training.
        test_pyramid (ImagePyramid, optional): Defaults to the settings'.
        seed (int): Defaults to 0.

    Returns:
        dict: Those statistics and ``uncovered_boxes``; ``invalid_boxes``:
        those that train at no level; ``seen``: 5th, 50th and 95th percentile
        of the sizes that boxes train at, level pixels, None without any;
        ``test_pixels_per_image``: of all levels whole.
    """
    table = mine_chips(images, settings, seed)
    found = chip_statistics(images, settings, [table])
    valid = valid_boxes(images, settings)
    factors = settings.pyramid.factors(images.widths, images.heights)
    factors = np.repeat(factors, np.diff(images.offsets), 0)
    seen = (box_sizes(images.boxes)[:, None] * factors)[valid]
    pixels = (test_pyramid or settings.pyramid).level_sizes(
        images.widths, images.heights
    )
    return dict(
        {k: getattr(v, 'tolist', lambda v=v: v)() for k, v in found.items()},
        uncovered_boxes=round(len(valid) * (1 - found['boxes_covered'])),
        invalid_boxes=int((~valid.any(1)).sum()),
        seen=np.percentile(seen, [5, 50, 95]).tolist() if len(seen) else None,
        test_pixels_per_image=pixels.prod(-1).sum() / max(len(images), 1),
    )


def focus_share(
    images: ImageBoxes,
    pyramid: ImagePyramid,
    sizes: Sequence[float],
    focus: Sequence[FocusSettings],
    stride: int = 16,
) -> float:
    """Share of the pyramid's pixels that true FocusPixels lead to.

    What AutoFocus would look at with a focus head that is always right: the
    FocusPixels of each level are those of the annotated boxes.

    Args:
        images (ImageBoxes): The data set.
        pyramid (ImagePyramid): Of testing.
        sizes (Sequence[float]): See :func:`~sniper_mmdet.chips.focus.
            focus_labels`.
        focus (Sequence[FocusSettings]): One a level but the finest.
        stride (int): Of FocusPixels, level pixels. Defaults to 16.
    """
    looked_at = total = 0
    all_sizes = pyramid.level_sizes(images.widths, images.heights)
    for i, levels in enumerate(all_sizes):
        side = (images.widths[i], images.heights[i])
        chips = np.array([[0, 0, *levels[0]]])
        total += levels.prod(1).sum()
        looked_at += levels[0].prod()
        for level, step in enumerate(focus):
            size, finer = levels[level : level + 2]
            boxes = images.of_image(i) * np.tile(size / side, 2)
            true = focus_labels(boxes, tuple(size), stride, sizes) == 1
            seen = np.zeros_like(true)
            for x1, y1, x2, y2 in chips // stride:
                seen[y1 : y2 + 1, x1 : x2 + 1] = True
            chips = move_chips(
                focus_chips(
                    true & seen,
                    tuple(size),
                    0.5,
                    step.dilation,
                    step.min_size,
                    stride,
                ),
                size,
                finer,
                stride,
            )
            looked_at += (chips[:, 2:] - chips[:, :2]).prod(1).sum()
    return float(looked_at / max(total, 1))


def size_groups(sizes: np.ndarray) -> list[float]:
    """Centres, in pixels, of the separate groups that sizes (N,) fall into.

    Peaks of the smoothed histogram of log sizes that stand out by at least
    half their height, a fiftieth of the highest, and 5 boxes.
    """
    logs = np.log2(np.maximum(sizes, 1))
    edges = np.arange(math.floor(logs.min()) - 2, logs.max() + 2, 1 / 8)
    counts = gaussian_filter1d(np.histogram(logs, edges)[0] * 1.0, 1)
    least = max(counts.max() / 50, 5)
    found = []
    for i in range(1, len(counts) - 1):
        if counts[i - 1] < counts[i] >= counts[i + 1]:
            valleys = (
                _valley(counts[:i][::-1], counts[i]),
                _valley(counts[i + 1 :], counts[i]),
            )
            if counts[i] - max(valleys) >= max(least, counts[i] / 2):
                found.append(float(2 ** (edges[i] + 1 / 16)))
    return found


def _valley(counts: np.ndarray, height: float) -> float:
    """The lowest count on the way to one above the height, or to the end."""
    higher = np.flatnonzero(counts > height)
    return counts[: higher[0] if len(higher) else None].min()


def some_images(images: ImageBoxes, most: int) -> ImageBoxes:
    """At most so many images, evenly drawn."""
    if len(images) <= most:
        return images
    kept = np.linspace(0, len(images) - 1, most).round().astype(int)
    return ImageBoxes.from_lists(
        np.stack([images.widths, images.heights], 1)[kept],
        [images.of_image(i) for i in kept],
    )
