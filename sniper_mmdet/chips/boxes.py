"""Boxes of a whole dataset as flat arrays, and their state in a chip."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from sniper_mmdet.moved import getattr_of

from .compiled import njit
from .pyramid import in_range

#: Original pixels by which a box may stick out of a chip that holds it whole.
#: Chips are stored in float32, whose steps are 0.008 px at 100,000 px.
TOLERANCE = 1e-2
#: Original pixels. A box of which less than this lies in its image, in width
#: or in height, is left out. mmdet's CocoDataset leaves such boxes out too.
LEAST_SIDE = 1.0
#: A box lies in an ignored region when a larger share of its area than this is
#: inside. Nobody knows whether such a box is an object.
IN_REGION = 0.5

_NO_REGION = np.zeros((0, 4), np.float32)
_NO_IMAGE = np.zeros(0, np.int64)


class ImageBoxes(NamedTuple):
    """Sizes and boxes of all images of a dataset.

    Attributes:
        widths (ndarray (N,)): int64, original pixels.
        heights (ndarray (N,)): int64.
        boxes (ndarray (M, 4)): float32 (x1, y1, x2, y2), original pixels.
        offsets (ndarray (N + 1,)): int64; image i has the boxes
            ``boxes[offsets[i]:offsets[i + 1]]``.
        regions (ndarray (R, 4)): float32, in the same form: boxes that are
            annotated as ignored, such as crowds. No chip is cut for a region,
            and no negative chip for a proposal that lies in one. Defaults to
            none.
        region_images (ndarray (R,)): int64, ascending, the image of each
            region.

    Examples:
        >>> from sniper_mmdet.chips import ImageBoxes
        >>> images = ImageBoxes.from_lists(
        ...     sizes=[(640, 480), (320, 240)],
        ...     boxes=[[(10, 10, 50, 60), (0, 0, 99, 99)], [(5, 5, 9, 9)]])
        >>> len(images), images.of_image(1).tolist()
        (2, [[5.0, 5.0, 9.0, 9.0]])
    """

    widths: np.ndarray
    heights: np.ndarray
    boxes: np.ndarray
    offsets: np.ndarray
    regions: np.ndarray = _NO_REGION
    region_images: np.ndarray = _NO_IMAGE

    def __len__(self) -> int:  # number of images, not of fields
        return len(self.widths)

    def of_image(self, index: int) -> np.ndarray:
        """ndarray (K, 4): the boxes of one image."""
        return self.boxes[self.offsets[index] : self.offsets[index + 1]]

    @property
    def region_offsets(self) -> np.ndarray:
        """ndarray (N + 1,): int64, the ``offsets`` of the regions."""
        return np.searchsorted(self.region_images, np.arange(len(self) + 1))

    @property
    def sizes(self) -> np.ndarray:
        """ndarray (N, 2): int64 (width, height) of each image."""
        return np.stack([self.widths, self.heights], 1)

    def of_boxes(self, values: np.ndarray) -> np.ndarray:
        """ndarray (M, ...): for each box the value (N, ...) of its image."""
        return np.repeat(values, np.diff(self.offsets), 0)

    @classmethod
    def from_lists(
        cls,
        sizes: Sequence[tuple[int, int]],
        boxes: Sequence[np.ndarray | list],
        regions: Sequence[np.ndarray | list] = (),
    ) -> 'ImageBoxes':
        """Build from one (width, height) and one array (K, 4) per image.

        Regions, if there are any, are one array (K, 4) per image, too.
        """
        images = np.repeat(np.arange(len(regions)), [*map(len, regions)])
        counts = [*map(len, boxes)]
        return cls.from_flat(
            sizes, _flat(boxes), counts, _flat(regions), images
        )

    @classmethod
    def from_flat(
        cls,
        sizes: Sequence[tuple[int, int]] | np.ndarray,
        boxes: np.ndarray,
        counts: Sequence[int] | np.ndarray,
        regions: np.ndarray = _NO_REGION,
        region_images: np.ndarray = _NO_IMAGE,
    ) -> 'ImageBoxes':
        """Build from the boxes (M, 4) of all images and the number per image.

        Regions have the form of the attributes.
        """
        sizes = np.array(sizes, np.int64).reshape(-1, 2)
        widths, heights = np.ascontiguousarray(sizes.T)
        offsets = np.zeros(len(sizes) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        return cls(
            widths,
            heights,
            boxes.astype(np.float32),
            offsets,
            regions.astype(np.float32),
            region_images.astype(np.int64),
        )


def _flat(boxes: Sequence) -> np.ndarray:
    """Concatenate one array (K, 4) per image to float32 (M, 4)."""
    boxes = [np.asarray(b, np.float32).reshape(-1, 4) for b in boxes]
    return np.concatenate([np.zeros((0, 4), np.float32), *boxes])


class BoxState(IntEnum):
    """The state of a box in a chip."""

    OUTSIDE = 0  # the chip shows nothing of it, or only a sliver
    VALID = 1  # it is whole in the chip and valid at the chip's level
    IGNORED = 2  # it is visible, but cut or outside the valid range


def box_sizes(boxes: np.ndarray) -> np.ndarray:
    """Size of boxes (N, 4): sqrt(width * height), in the unit of the boxes.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips import box_sizes
        >>> box_sizes(np.array([(0, 0, 40, 90)])).tolist()
        [60.0]
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.sqrt(sides[:, 0] * sides[:, 1])


def whole_in(
    boxes: np.ndarray, regions: np.ndarray, tolerance: float = TOLERANCE
) -> np.ndarray:
    """Test whether boxes lie whole in regions, pair by pair.

    Args:
        boxes (ndarray (..., 4)): x1, y1, x2, y2.
        regions (ndarray (..., 4)): In the same form and the same pixels; both
            are broadcast.
        tolerance (float): How far a box may stick out. Defaults to
            :data:`TOLERANCE`, the rounding error in original pixels.

    Returns:
        ndarray (...): bool.
    """
    first = boxes[..., :2] >= regions[..., :2] - tolerance
    last = boxes[..., 2:] <= regions[..., 2:] + tolerance
    return _both(first & last)


#: In the precision of boxes and regions, as NumPy takes :data:`TOLERANCE`.
_TOLERANCE = np.float32(TOLERANCE)


@njit
def is_whole_in(box, region):
    """:func:`whole_in` of one box and one region, for compiled loops."""
    return (
        box[0] >= region[0] - _TOLERANCE
        and box[1] >= region[1] - _TOLERANCE
        and box[2] <= region[2] + _TOLERANCE
        and box[3] <= region[3] + _TOLERANCE
    )


def _both(sides: np.ndarray) -> np.ndarray:
    """Whether both values of (..., 2) are True, faster than np.all."""
    return sides[..., 0] & sides[..., 1]


def _overlap(boxes: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Sides (N, 2) of what a region shows of boxes; below 0 if nothing."""
    first = np.maximum(boxes[:, :2], region[:2])
    return np.minimum(boxes[:, 2:], region[2:]) - first


def seen_in(boxes: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Test which boxes (N, 4) a region (x1, y1, x2, y2) shows a part of."""
    return _both(_overlap(boxes, region) > 0)


def clip_boxes(
    boxes: np.ndarray, size: tuple[float, float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Clip boxes to their image, and report which stay large enough.

    Args:
        boxes (ndarray (N, 4)): Original pixels.
        size (tuple[float] | ndarray (N, 2)): (width, height) of the image, or
            of the image of each box.

    Returns:
        tuple: The clipped boxes (N, 4), and bool (N,): whether at least
        :data:`LEAST_SIDE` pixels of the width and of the height are left.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips import clip_boxes
        >>> boxes = np.array([(90, 10, 120, 20), (110, 10, 120, 20)])
        >>> clipped, large_enough = clip_boxes(boxes, (100, 100))
        >>> clipped[0].tolist(), large_enough.tolist()
        ([90, 10, 100, 20], [True, False])
    """
    size = np.asarray(size)
    ends = np.concatenate([size, size], -1)
    clipped = np.minimum(np.maximum(boxes, 0), ends)
    return clipped, _both(clipped[:, 2:] - clipped[:, :2] >= LEAST_SIDE)


def classify_boxes(
    boxes: np.ndarray,
    region: Sequence[float],
    valid_range: tuple[float, float],
    min_visible: tuple[float, float] = (0, 0),
    min_visible_share: float = 1.0,
) -> np.ndarray:
    """Decide which boxes a chip trains, ignores, or does not show.

    The released code ignores every box that is not exactly one of the chip's
    valid boxes, and drops a box of which it shows less than 10 chip pixels.

    Args:
        boxes (ndarray (N, 4)): Original pixels.
        region (Sequence[float]): The chip (x1, y1, x2, y2), original pixels.
        valid_range (tuple[float]): (low, high) sizes, original pixels.
        min_visible (tuple[float]): Least visible (width, height), original
            pixels, of a box that the chip cuts. A box of which less is visible
            is OUTSIDE. Whole boxes may have any size. Defaults to (0, 0).
        min_visible_share (float): A box counts as whole when at least this
            share of its area lies in the chip. Defaults to 1.

    Returns:
        ndarray (N,): int8, values of :class:`BoxState`.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips import BoxState, classify_boxes
        >>> boxes = np.array([(20, 20, 60, 60), (90, 90, 120, 120)])
        >>> states = classify_boxes(boxes, (0, 0, 100, 100), (0, 64))
        >>> [BoxState(state).name for state in states]
        ['VALID', 'IGNORED']
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    region = np.asarray(region, np.float32)
    seen = _overlap(boxes, region)
    whole = whole_in(boxes, region)
    if min_visible_share < 1:
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        area = np.maximum(area, np.finfo(np.float32).tiny)
        whole |= np.maximum(seen, 0).prod(1) / area >= min_visible_share
    visible = _both(seen > 0) & (whole | _both(seen >= min_visible))
    valid = in_range(box_sizes(boxes), *valid_range)
    # NumPy handles values eight times as fast as members of an IntEnum.
    states = np.full(len(boxes), BoxState.OUTSIDE.value, np.int8)
    states[visible] = BoxState.IGNORED.value
    states[visible & whole & valid] = BoxState.VALID.value
    return states


__getattr__ = getattr_of(__name__)
