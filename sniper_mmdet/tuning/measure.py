"""Measures of the sizes of boxes and images, for the rules of settings."""

from typing import NamedTuple

import numpy as np

from sniper_mmdet.chips import ImageBoxes, box_sizes
from sniper_mmdet.chips.presets import RELEASED_COCO

# Levels are given by the long side only if images have this many sizes.
_MANY_SIDES = 8


class Measured(NamedTuple):
    """Sizes of boxes and images, or sizes relative to the image."""

    relative: bool  # the level is given by the long side
    sizes: np.ndarray  # sizes of boxes, pixels
    small: float  # 5th percentile of the sizes
    large: float  # 99th percentile of the sizes
    longest: float  # 99.5th percentile of the boxes' long sides
    side: float  # typical long side of an image
    largest_side: float  # largest long side of an image

    @property
    def where(self) -> str:
        return f' in an image of {self.side:.0f} px' if self.relative else ''


def measure(images: ImageBoxes) -> list[Measured]:
    """Measure boxes, first relative to images if that may suit them better."""
    sides = images.boxes[:, 2:] - images.boxes[:, :2]
    kept = (sides >= RELEASED_COCO.min_side).all(1)
    if not kept.any():
        raise ValueError(
            'settings can be proposed only for boxes with sides of '
            f'{RELEASED_COCO.min_side} px or more. Received: {len(kept)} '
            f'boxes, all of them smaller, in {len(images)} images.'
        )
    sizes = box_sizes(images.boxes)[kept].astype(float)
    longest = sides[kept].max(1)
    of_image = np.maximum(images.widths, images.heights)
    of_box = images.of_boxes(of_image)[kept]

    def measured(relative, share, *sides):
        small, large = np.percentile(sizes * share, [5, 99]).tolist()
        long = float(np.percentile(longest * share, 99.5))
        own = relative, sizes * share, small, large, long
        return Measured(*own, *map(float, sides))

    found = [measured(False, 1, np.median(of_image), of_image.max())]
    # With few image sizes the relation may be a coincidence.
    if len(np.unique(of_box)) >= _MANY_SIDES and (
        np.log(sizes / of_box).std() < 0.9 * np.log(sizes).std()
    ):
        side = np.median(of_box)
        found.insert(0, measured(True, side / of_box, side, side))
    return found
