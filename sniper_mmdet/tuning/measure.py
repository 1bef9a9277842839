"""Sizes of a data set's boxes and images, as rules for settings see them."""

from typing import NamedTuple

import numpy as np

from sniper_mmdet.chips import ImageBoxes, box_sizes
from sniper_mmdet.chips.presets import RELEASED_COCO

# Levels are named by the long side for images of this many at least.
_MANY_SIDES = 8


class Measured(NamedTuple):
    """Sizes of boxes and images; of one image where all are relative to it."""

    relative: bool  # the level is named by the long side
    sizes: np.ndarray  # of boxes, pixels
    small: float  # 5th percentile of them
    large: float  # 99th
    longest: float  # 99.5th of long sides of boxes
    side: float  # of an image: the long one, typical
    largest_side: float  # the same, largest

    @property
    def where(self) -> str:
        return f' in an image of {self.side:.0f} px' if self.relative else ''


def measure(images: ImageBoxes) -> list[Measured]:
    """In pixels; before that as parts of their images, if it may be better."""
    sides = images.boxes[:, 2:] - images.boxes[:, :2]
    kept = (sides >= RELEASED_COCO.min_side).all(1)
    if not kept.any():
        raise ValueError(
            'settings can be proposed for boxes with sides of '
            f'{RELEASED_COCO.min_side} px or more only. Received: '
            f'{len(kept)} boxes, none of them such, in {len(images)} images.'
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
    # With a few sizes of images only it may be a coincidence.
    if len(np.unique(of_box)) >= _MANY_SIDES and (
        np.log(sizes / of_box).std() < 0.9 * np.log(sizes).std()
    ):
        side = np.median(of_box)
        found.insert(0, measured(True, side / of_box, side, side))
    return found
