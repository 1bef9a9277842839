"""Levels, valid ranges and chip size that suit the objects of a data set.

The rules of thumb come from the settings released for COCO, where most boxes
are trained at 64 to 240 level pixels.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from sniper_mmdet.chips import (
    ChipSettings,
    FocusSettings,
    ImageBoxes,
    ImagePyramid,
)
from sniper_mmdet.chips.presets import (
    RELEASED_COCO,
    RELEASED_FOCUS,
    RELEASED_FOCUS_SIZES,
)
from sniper_mmdet.chips.pyramid import Range, Scale
from sniper_mmdet.chips.settings import longest_side

from .measure import Measured, measure
from .plan import FocusPlan
from .ranges import OVERLAP, as_range, level_ranges, test_ranges
from .reasons import MAX_FACTOR, reasons_of

#: Sizes in level pixels that a level is meant for: the released ranges end at
#: 240 (80 * 3), and a finer level takes boxes below 64.
TARGET = (64.0, 240.0)

#: Side of the largest chip that is proposed, level pixels.
MOST_CHIP = RELEASED_COCO.chip_size
# Ratios of the largest trained size, and of the stride, to a chip's side.
_OF_CHIP = TARGET[1] / MOST_CHIP
_STRIDE = np.divide(RELEASED_COCO.stride, MOST_CHIP).tolist()


@dataclass(frozen=True)
class Advice:
    """Settings that are proposed for a data set; levels are coarse to fine.

    Attributes:
        scales (tuple): Levels of training and testing.
        valid_ranges (tuple): (low, high) per level in training, original
            pixels.
        test_valid_ranges (tuple): (low, high) per level in testing.
        chip_size (int): Sides of a chip, level pixels.
        stride (tuple[int]): Stride of the grid of chips, level pixels.
        target (tuple[float]): Sizes that a level is for, level pixels.
        focus_sizes (tuple[int]): ``sizes`` of FocusPixels, level pixels.
        focus (tuple[FocusSettings]): Settings of each level but the finest.
            The thresholds are the released ones: annotations say nothing about
            them.
        reasons (tuple[str]): Reasons for the settings, one sentence each.
        focus_stride (int): Stride of FocusPixels, level pixels.
        plan (FocusPlan, optional): The plan of AutoFocus; None where AutoFocus
            does not pay.
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
    focus_stride: int = 16
    plan: FocusPlan | None = None

    @property
    def settings(self) -> ChipSettings:
        """ChipSettings: Settings of training; with a plan, those of AutoFocus.

        Levels of a plan are far apart, so that a coarse level trains few of
        the boxes that it must notice. Chips are therefore cut for those boxes,
        too.
        """
        pyramid = ImagePyramid(self.scales, self.valid_ranges)
        noticed = self.focus_sizes if self.plan else None
        return ChipSettings(
            pyramid, self.chip_size, self.stride, focus_sizes=noticed
        )

    @property
    def test_pyramid(self) -> ImagePyramid:
        """ImagePyramid: The levels and valid ranges of testing."""
        return ImagePyramid(self.scales, self.test_valid_ranges)


def suggest(
    images: ImageBoxes,
    chip_size: int | None = None,
    num_levels: int | None = None,
    target: tuple[float, float] = TARGET,
) -> Advice:
    """Propose levels, valid ranges and a chip size from a data set's boxes.

    The finest level enlarges the 5th percentile of the box sizes to
    ``target[0]``, but at most threefold. Each coarser level has half the
    factor of the one before. The coarsest level is the one at which the 99th
    percentile is within ``target[1]`` and the longest boxes fit a chip, or at
    which the whole image is one chip. Inner levels that no box needs are left
    out. A level trains the boxes whose size is within the target there, the
    finest level also all smaller ones, the coarsest level all larger ones.
    Levels are factors. A single level is given by the image's long side if
    image sizes vary and box sizes vary clearly less relative to their images.

    Args:
        images (ImageBoxes): The data set.
        chip_size (int, optional): Sides of a chip, level pixels. Defaults to
            None: from 256 to 512, twice the largest size that is trained and
            room for the longest boxes, but no larger than the finest level.
        num_levels (int, optional): Number of levels. Defaults to None: as many
            as the rules above give.
        target (tuple[float]): (low, high), sizes that a level is for, level
            pixels. A smaller chip lowers both.

    Raises:
        ValueError: No box is large enough for chips, or an argument is out
            of bounds.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips import ImageBoxes
        >>> boxes = [[10, 10, 30, 30], [400, 200, 600, 400]]
        >>> images = ImageBoxes(
        ...     widths=np.array([1000]), heights=np.array([600]),
        ...     boxes=np.array(boxes, np.float32), offsets=np.array([0, 2]))
        >>> advice = suggest(images)
        >>> advice.scales, advice.valid_ranges, advice.chip_size
        ((1.1, 2.21), ((58, None), (None, 109)), 512)
    """
    _check(target, chip_size, num_levels)
    low, high = fitted(*target, chip_size or MOST_CHIP)
    for data in measure(images):
        factors, chip, one_chip = _levels(
            data, low, high, chip_size, num_levels
        )
        if len(factors) == 1:
            break
    if len(factors) > 1:
        low, high = fitted(low, high, chip)
    bounds = level_ranges(factors, (low, high))
    focus_sizes = [size * low / TARGET[0] for size in RELEASED_FOCUS_SIZES]
    # The released values, scaled to the chip size, in cells of 16 px.
    focus = [RELEASED_FOCUS[level > 0] for level in range(len(factors) - 1)]
    least = [step.min_size * chip // MOST_CHIP // 16 * 16 for step in focus]
    return Advice(
        scales=_scales(data, factors, chip if one_chip else None),
        valid_ranges=tuple(as_range(*pair) for pair in bounds),
        test_valid_ranges=test_ranges(factors, (low, high)),
        chip_size=chip,
        stride=chip_stride(chip),
        target=(low, high),
        focus_sizes=tuple(max(round(size), 2) for size in focus_sizes),
        focus=tuple(
            replace(step, min_size=max(side, 16))
            for step, side in zip(focus, least, strict=True)
        ),
        reasons=tuple(reasons_of(data, factors, one_chip, bounds, low, high)),
    )


def fitted(low: float, high: float, chip_size: int) -> tuple[float, float]:
    """Lower a target so that chips hold its sizes and levels are 2 apart."""
    high = min(high, _OF_CHIP * chip_size)
    return min(low, high / (2 * OVERLAP)), high


def chip_stride(chip_size: int) -> tuple[int, int]:
    """Stride of the grid of chips, as released a ninth of a chip."""
    return tuple(round(share * chip_size) for share in _STRIDE)


def ends_of(
    data: Measured, low: float, high: float, chip_size: int | None
) -> tuple[float, int, float, float]:
    """Return the finest factor, the chip size and two bounds of factors.

    Without ``chip_size`` the chip suits the sizes that the finest level
    trains, and is no larger than that level. At factors below the first bound
    the largest boxes are within the target, and the longest boxes fit a chip.
    At the second bound an image is one chip: no level needs to be coarser.
    """
    whole = min((chip_size or MOST_CHIP) / data.side, 1)
    finest = min(max(low / data.small, whole), MAX_FACTOR)
    if chip_size is None:
        top = high if finest == whole else min(data.large * finest, high)
        # A chip holds boxes whose sides are a bit shorter than chip less
        # stride.
        longest = (data.longest * finest + 2) / (1 - _STRIDE[1])
        wanted = min(max(top / _OF_CHIP, longest, 256), MOST_CHIP)
        wanted = min(wanted, data.largest_side * finest)
        chip_size = max(math.ceil(wanted / 32 - 1e-6) * 32, 64)
    longest = longest_side(chip_size, chip_stride(chip_size)[1])
    limit = min(high * (1 + 1e-9) / data.large, longest / data.longest)
    return finest, chip_size, limit, whole


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


def _levels(
    data, low, high, chip_size, num_levels
) -> tuple[list[float], int, bool]:
    """Return factors, chip size and whether the coarsest level is one chip."""
    finest, chip_size, limit, whole = ends_of(data, low, high, chip_size)

    def trains(factor):
        sizes = data.sizes
        return ((sizes >= low / factor) & (sizes <= high / factor)).any()

    factors = [finest]
    while factors[0] >= limit and data.side * factors[0] > 2**0.5 * chip_size:
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
    if len(factors) == 1 and finest != whole and factors[0] < limit:
        one_chip = False
    if one_chip:
        factors[0] = chip_size / data.side
    return factors, chip_size, one_chip


def _scales(data, factors, one_chip) -> tuple[Scale, ...]:
    """Levels for a config; ``one_chip`` is the size of the coarsest one."""
    if data.relative:
        return ((-1, one_chip or max(round(factors[0] * data.side), 1)),)
    scales: list[Scale] = [float(f'{factor:.3g}') for factor in factors]
    if one_chip:
        scales[0] = (-1, one_chip)
    return tuple(scales)
