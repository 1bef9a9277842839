"""Estimates of the cost and coverage of settings on a data set."""

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
    """Estimate cost and coverage by :func:`chip_statistics` of one epoch.

    Args:
        images (ImageBoxes): The data set.
        settings (ChipSettings): Settings of training.
        test_pyramid (ImagePyramid, optional): Levels of testing. Defaults to
            those of training.
        seed (int): Seed of the chips. Defaults to 0.

    Returns:
        dict: The statistics and three more entries. ``uncovered_boxes`` is the
        number of boxes that train at no level. ``seen`` has the 5th, 50th and
        95th percentile of the sizes at which boxes train, level pixels, or
        None without any. ``test_pixels_per_image`` is the number of pixels of
        all whole levels of testing.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips import ImageBoxes
        >>> from sniper_mmdet.tuning import suggest
        >>> boxes = [[10, 10, 30, 30], [400, 200, 600, 400]]
        >>> images = ImageBoxes(
        ...     widths=np.array([1000]), heights=np.array([600]),
        ...     boxes=np.array(boxes, np.float32), offsets=np.array([0, 2]))
        >>> expected = forecast(images, suggest(images).settings)
        >>> expected['chips_per_image'], expected['boxes_covered']
        (2.0, 1.0)
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
    """Pixels that AutoFocus looks at and boxes that it reaches.

    Attributes:
        pixels (float): Share of the pixels of all levels.
        boxes (float): Share of the boxes, 1 without boxes.
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
    """Estimate what AutoFocus looks at and reaches with a perfect focus head.

    The FocusPixels of each level are those of the annotated boxes. A box is
    reached if it lies in the parts that AutoFocus looks at of a level whose
    range holds its size; the coarsest level is looked at whole.

    Args:
        images (ImageBoxes): The data set.
        pyramid (ImagePyramid): Levels and valid ranges of testing.
        sizes (Sequence[float]): ``sizes`` of FocusPixels, chip pixels.
        focus (Sequence[FocusSettings]): Settings of each level but the finest.
        stride (int): Stride of FocusPixels, level pixels. Defaults to 16.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips import (
        ...     FocusSettings, ImageBoxes, ImagePyramid)
        >>> boxes = [[100, 100, 116, 116], [1500, 300, 1516, 316]]
        >>> images = ImageBoxes(
        ...     widths=np.array([2000]), heights=np.array([2000]),
        ...     boxes=np.array(boxes, np.float32), offsets=np.array([0, 2]))
        >>> pyramid = ImagePyramid([0.5, 2.0], [(64, None), (0, 120)])
        >>> share = focus_share(
        ...     images, pyramid, (5, 64, 90), [FocusSettings(0.2, 3, 256)])
        >>> f'{share.pixels:.1%} of the pixels, {share.boxes:.0%} of the boxes'
        '18.2% of the pixels, 100% of the boxes'
    """
    looked = look(images, pyramid, sizes, focus, stride)
    whole = pyramid.level_sizes(images.widths, images.heights).prod(-1).sum()
    reached = looked.reached
    return FocusShare(
        float(looked.pixels.sum() / max(whole, 1)),
        float(reached.mean()) if len(reached) else 1.0,
    )


def some_images(images: ImageBoxes, most: int) -> ImageBoxes:
    """At most ``most`` images, at even intervals."""
    if len(images) <= most:
        return images
    kept = np.linspace(0, len(images) - 1, most).round().astype(int)
    return ImageBoxes.from_lists(
        images.sizes[kept], [images.of_image(i) for i in kept]
    )
