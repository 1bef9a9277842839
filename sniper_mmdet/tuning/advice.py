"""Which levels, valid ranges and chips suit a data set's object sizes.

Rules of thumb, taken from the settings released for COCO: there most boxes
are trained at 64 to 240 level pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sniper_mmdet.chips import (
    ChipSettings,
    FocusSettings,
    ImageBoxes,
    ImagePyramid,
    box_sizes,
)
from sniper_mmdet.chips.presets import RELEASED_COCO, RELEASED_FOCUS_SIZES
from sniper_mmdet.chips.pyramid import Range, Scale
from sniper_mmdet.chips.settings import longest_side

#: Sizes, level pixels, that a level is for: the released ranges end at 240
#: (80 * 3), and what is below 64 is for a finer level.
TARGET = (64.0, 240.0)

#: Enlarging beyond the finest level released shows nothing that is not there.
MAX_FACTOR = 3.0

_CHIP = RELEASED_COCO.chip_size
# Largest size trained, and stride, to the side of a chip.
_OF_CHIP = TARGET[1] / _CHIP
_STRIDE = np.divide(RELEASED_COCO.stride, _CHIP).tolist()
# Neighbouring ranges overlap at least by this factor.
_OVERLAP = 1.3
# Test ranges to training ranges: 80 to 90, 150 to 180, 120 to 75 as released.
_WIDER = 1.2
# Levels are named by the long side for images of this many at least.
_MANY_SIDES = 8


@dataclass(frozen=True)
class Advice:
    """Settings proposed for a data set; levels are coarse to fine.

    Attributes:
        scales (tuple): Levels of training and testing.
        valid_ranges (tuple): (low, high) a level in training, original
            pixels.
        test_valid_ranges (tuple): Those of testing.
        chip_size (int): Level pixels.
        stride (tuple[int]): Of the grid of chips, level pixels.
        target (tuple[float]): Sizes that a level is for, level pixels.
        focus_sizes (tuple[int]): Of FocusPixels, chip pixels.
        focus (tuple[FocusSettings]): One a level but the finest; the
            thresholds are those released: annotations tell no better ones.
        reasons (tuple[str]): Why, a sentence each.
    """

    scales: tuple[Scale, ...]
    valid_ranges: tuple[Range, ...]
    test_valid_ranges: tuple[Range, ...]
    chip_size: int
    stride: tuple[int, int]
    target: tuple[float, float]
    focus_sizes: tuple[int, ...]
    focus: tuple[FocusSettings, ...]
    reasons: tuple[str, ...]

    @property
    def settings(self) -> ChipSettings:
        """ChipSettings: Of training."""
        pyramid = ImagePyramid(self.scales, self.valid_ranges)
        return ChipSettings(pyramid, self.chip_size, self.stride)

    @property
    def test_pyramid(self) -> ImagePyramid:
        """ImagePyramid: Of testing."""
        return ImagePyramid(self.scales, self.test_valid_ranges)


class _Measured(NamedTuple):
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


def suggest(
    images: ImageBoxes,
    chip_size: int | None = None,
    num_levels: int | None = None,
    target: tuple[float, float] = TARGET,
) -> Advice:
    """Propose levels, valid ranges and chips from sizes of boxes and images.

    The finest level brings the 5th percentile of sizes to ``target[0]``, but
    enlarges at most threefold. Each level has half the factor of the one
    before, until the 99th percentile is within ``target[1]`` and the longest
    boxes fit a chip, or the whole image is in one; inner levels that no box
    needs are left out. A level trains what is within the target there, the
    finest also all that is smaller, the coarsest all that is larger. Levels
    are factors; one that is alone is named by the long side where images are
    of many sizes and boxes differ clearly less as parts of them.

    Args:
        images (ImageBoxes): The data set.
        chip_size (int, optional): Level pixels. Defaults to None: from 256 to
            512, twice the largest size that is trained and room for the
            longest boxes, but no larger than the finest level.
        num_levels (int, optional): Defaults to None: as many as it takes.
        target (tuple[float]): Level pixels. A smaller chip lowers both.

    Raises:
        ValueError: No box is large enough for chips, or an argument is out
            of bounds.
    """
    _check(target, chip_size, num_levels)
    low, high = _fitting(*target, chip_size or _CHIP)
    for data in _measure(images):
        factors, chip, one_chip = _levels(
            data, low, high, chip_size, num_levels
        )
        if len(factors) == 1:
            break
    if len(factors) > 1:
        low, high = _fitting(low, high, chip)
    # However far apart two levels are, their ranges overlap.
    neighbours = zip(factors, factors[1:], strict=False)
    starts = [min(low / a, high / b / _OVERLAP) for a, b in neighbours]
    ends = [high / factor for factor in factors[1:]]
    bounds = list(zip([*starts, 0.0], [math.inf, *ends], strict=True))
    wider = [(start / _WIDER, end * _WIDER) for start, end in bounds]
    focus_sizes = [size * low / TARGET[0] for size in RELEASED_FOCUS_SIZES]
    # As released: half a chip at first, then 5/8, in cells of 16 px.
    focus = [(0.02, chip * 8), *[(0.2, chip * 10)] * len(factors)]
    return Advice(
        scales=_scales(data, factors, chip if one_chip else None),
        valid_ranges=tuple(map(_as_range, bounds)),
        test_valid_ranges=tuple(map(_as_range, wider)),
        chip_size=chip,
        stride=_stride(chip),
        target=(low, high),
        focus_sizes=tuple(max(round(size), 2) for size in focus_sizes),
        focus=tuple(
            FocusSettings(threshold, min_size=max(side // 256 * 16, 16))
            for threshold, side in focus[: len(factors) - 1]
        ),
        reasons=tuple(_reasons(data, factors, one_chip, bounds, low, high)),
    )


def _check(target, chip_size, num_levels) -> None:
    low, high = target
    if not 0 < low < high:
        raise ValueError(
            f'target must have 0 < low < high. Received: {target}.'
        )
    if chip_size is not None and (chip_size < 64 or chip_size % 32):
        raise ValueError(
            'chip_size must be a multiple of 32, at least 64. '
            f'Received: {chip_size}.'
        )
    if num_levels is not None and num_levels < 1:
        raise ValueError(
            f'num_levels must be at least 1. Received: {num_levels}.'
        )


def _fitting(low, high, chip_size) -> tuple[float, float]:
    """A target lowered to what chips hold, and levels 2 apart have."""
    high = min(high, _OF_CHIP * chip_size)
    return min(low, high / (2 * _OVERLAP)), high


def _stride(chip_size) -> tuple[int, int]:
    return tuple(round(share * chip_size) for share in _STRIDE)


def _measure(images) -> list[_Measured]:
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
        return _Measured(*own, *map(float, sides))

    found = [measured(False, 1, np.median(of_image), of_image.max())]
    # With a few sizes of images only it may be a coincidence.
    if len(np.unique(of_box)) >= _MANY_SIDES and (
        np.log(sizes / of_box).std() < 0.9 * np.log(sizes).std()
    ):
        side = np.median(of_box)
        found.insert(0, measured(True, side / of_box, side, side))
    return found


def _levels(
    data, low, high, chip_size, num_levels
) -> tuple[list[float], int, bool]:
    """Factors of the levels, coarse to fine; the chip; is the first one chip?

    A chip that is not given is for what the finest level trains, and no
    larger than that level.
    """
    # One chip holds the image from here on: no level need be coarser.
    whole = min((chip_size or _CHIP) / data.side, 1)
    finest = min(max(low / data.small, whole), MAX_FACTOR)
    if chip_size is None:
        top = high if finest == whole else min(data.large * finest, high)
        # A side must be shorter than the chip less its stride, and a bit.
        longest = (data.longest * finest + 2) / (1 - _STRIDE[1])
        wanted = min(max(top / _OF_CHIP, longest, 256), _CHIP)
        wanted = min(wanted, data.largest_side * finest)
        chip_size = max(math.ceil(wanted / 32 - 1e-6) * 32, 64)
    longest = longest_side(chip_size, _stride(chip_size)[1])

    def fits(factor):
        large = data.large * factor > high * (1 + 1e-9)
        return not large and data.longest * factor < longest

    def trains(factor):
        sizes = data.sizes
        return ((sizes >= low / factor) & (sizes <= high / factor)).any()

    factors = [finest]
    while not fits(factors[0]) and data.side * factors[0] > 2**0.5 * chip_size:
        factors.insert(0, factors[0] / 2)
    if num_levels is None:
        ends = factors[0], finest
        factors = [f for f in factors if f in ends or trains(f)]
    elif num_levels == 1:
        factors = [math.sqrt(finest * factors[0])]
    elif num_levels <= len(factors):
        factors = np.geomspace(factors[0], finest, num_levels).tolist()
    else:
        factors = [finest / 2**i for i in range(num_levels)][::-1]
    one_chip = 0.5**0.5 <= data.side * factors[0] / chip_size <= 2**0.5
    if len(factors) == 1 and finest != whole and fits(factors[0]):
        one_chip = False
    if one_chip:
        factors[0] = chip_size / data.side
    return factors, chip_size, one_chip


def _scales(data, factors, one_chip) -> tuple[Scale, ...]:
    """Levels as a config has them; ``one_chip``: size of the coarsest one."""
    if data.relative:
        return ((-1, one_chip or max(round(factors[0] * data.side), 1)),)
    scales: list[Scale] = [float(f'{factor:.3g}') for factor in factors]
    if one_chip:
        scales[0] = (-1, one_chip)
    return tuple(scales)


def _as_range(bounds) -> Range:
    """Whole pixels, the lower end down and the upper end up."""
    low, high = bounds
    return (
        math.floor(low + 1e-6) or None,
        None if high == math.inf else math.ceil(high - 1e-6),
    )


def _short(pixels) -> str:
    return f'{pixels:.0f}' if pixels >= 100 else f'{pixels:.3g}'


def _reasons(data, factors, one_chip, bounds, low, high) -> Iterator[str]:
    """Why the finest level, the coarsest, and the ranges are what they are."""
    if data.relative:
        yield (
            'The level is named by the long side: as parts of their images '
            'the boxes differ clearly less in size than in pixels.'
        )
    factor = factors[-1]
    small = data.small * factor
    text = (
        f'Finest level, {factor:.3g} times: 5% of the boxes are below '
        f'{_short(data.small)} px{data.where}, {small:.0f} px there'
    )
    if factor == MAX_FACTOR and small < 0.99 * low:
        text += (
            f'; {low:.0f} px would take {low / data.small:.2g} times, but '
            'enlarging more than 3 times shows nothing new'
        )
    yield text + '.'
    name = 'Coarsest level' if len(factors) > 1 else 'It is the only level'
    large = f'{_short(data.large)} px{data.where}'
    if one_chip:
        yield (
            f'{name}: the image is one chip there, where no box is too large '
            f'(1% are above {large}).'
        )
    else:
        yield (
            f'{name}: 99% of the boxes are below {large}, '
            f'{data.large * factors[0]:.0f} px there, and 99.5% shorter than '
            f'{_short(data.longest)} px, {data.longest * factors[0]:.0f} px '
            'there.'
        )
    neighbours = zip(bounds, bounds[1:], strict=False)
    overlaps = [finer[1] / coarse[0] for coarse, finer in neighbours]
    if overlaps:
        yield (
            f'A level trains what is {low:.0f} to {high:.0f} px there, the '
            'finest also all below, the coarsest all above; neighbouring '
            f'ranges overlap by a factor of {min(overlaps):.1f} or more.'
        )
