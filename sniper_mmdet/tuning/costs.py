"""What settings cost and cover on a data set, and what there is to see."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sniper_mmdet.chips import (
    ChipSettings,
    FocusSettings,
    ImageBoxes,
    ImagePyramid,
    box_sizes,
    mine_chips,
    valid_boxes,
)

from .looking import look
from .statistics import chip_statistics


def forecast(
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
        dict: Those statistics and ``uncovered_boxes``: those that train
        nowhere; ``seen``: 5th, 50th and 95th percentile of the sizes that
        boxes train at, level pixels, None without any;
        ``test_pixels_per_image``: of all levels whole.
    """
    table = mine_chips(images, settings, seed)
    found = chip_statistics(images, settings, [table])
    valid = valid_boxes(images, settings)
    factors = settings.pyramid.factors(images.widths, images.heights)
    factors = images.of_boxes(factors)
    seen = (box_sizes(images.boxes)[:, None] * factors)[valid]
    tested = test_pyramid or settings.pyramid
    pixels = tested.level_sizes(images.widths, images.heights).prod(-1).sum()
    return dict(
        {k: getattr(v, 'tolist', lambda v=v: v)() for k, v in found.items()},
        uncovered_boxes=round(len(valid) * (1 - found['boxes_covered'])),
        seen=np.percentile(seen, [5, 50, 95]).tolist() if len(seen) else None,
        test_pixels_per_image=pixels / max(len(images), 1),
    )


class FocusShare(NamedTuple):
    """What true FocusPixels lead to.

    Attributes:
        pixels (float): Share of the pixels of all levels.
        boxes (float): Share of the boxes, 1 without any.
    """

    pixels: float
    boxes: float


def focus_share(
    images: ImageBoxes,
    pyramid: ImagePyramid,
    sizes: Sequence[float],
    focus: Sequence[FocusSettings],
    stride: int = 16,
) -> FocusShare:
    """What AutoFocus would look at and reach with a perfect focus head.

    The FocusPixels of each level are those of the annotated boxes. A
    box is reached when it lies in what is looked at of a level whose range
    holds its size; the coarsest level is looked at whole.

    Args:
        images (ImageBoxes): The data set.
        pyramid (ImagePyramid): Of testing.
        sizes (Sequence[float]): Of FocusPixels, chip pixels.
        focus (Sequence[FocusSettings]): One a level but the finest.
        stride (int): Of FocusPixels, level pixels. Defaults to 16.
    """
    looked = look(images, pyramid, sizes, focus, stride)
    whole = pyramid.level_sizes(images.widths, images.heights).prod(-1).sum()
    reached = looked.reached
    return FocusShare(
        float(looked.pixels.sum() / max(whole, 1)),
        float(reached.mean()) if len(reached) else 1.0,
    )


def some_images(images: ImageBoxes, most: int) -> ImageBoxes:
    """At most so many images, evenly drawn."""
    if len(images) <= most:
        return images
    kept = np.linspace(0, len(images) - 1, most).round().astype(int)
    return ImageBoxes.from_lists(
        images.sizes[kept], [images.of_image(i) for i in kept]
    )
