"""Settings of chips, negative chips and FocusChips."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from .pyramid import ImagePyramid, Range


def longest_side(chip_size: int, stride: int) -> int:
    """The side, level pixels, below which a box fits some chip anywhere.

    The rule is that of the released code (``chip_extractor``).
    """
    return chip_size - stride - 1


def check_focus_sizes(name: str, sizes: Sequence[float]) -> None:
    """Check that sizes of FocusPixels are (low, high, end)."""
    try:
        low, high, end = sizes
        fit = 0 <= low < high <= end
    except (TypeError, ValueError):  # not three numbers
        fit = False
    if not fit:
        raise ValueError(
            f'{name} must be (low, high, end), 0 <= low < high <= end. '
            f'Received: {sizes}.'
        )


@dataclass(frozen=True)
class ChipSettings:
    """Settings for the cutting of chips.

    Args:
        pyramid (ImagePyramid): Levels and valid ranges of training.
        chip_size (int): Side of a chip in level pixels. A smaller level is one
            chip. Defaults to 512.
        stride (int | tuple[int]): Stride of the grid of candidate chips, level
            pixels. With a tuple (low, high) each epoch samples a stride, both
            ends included. Defaults to (56, 59), as released; the paper has 32.
        min_side (float): No chip is cut for a box with a side below this
            (original pixels). A box that another chip shows is still trained.
            Defaults to 2, as released.
        focus_sizes (Sequence[float], optional): Sizes of a focus head,
            ``(low, high, end)``. At each level but the finest, chips are also
            cut for boxes of more than ``low`` and less than ``high`` level
            pixels, which the focus head learns to notice there. Defaults to
            None, as released: the focus head learns from the boxes that the
            other chips show.

    Raises:
        ValueError: A setting is out of bounds.
    """

    pyramid: ImagePyramid
    chip_size: int = 512
    stride: int | tuple[int, int] = (56, 59)
    min_side: float = 2
    focus_sizes: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.focus_sizes is not None:
            check_focus_sizes('focus_sizes', self.focus_sizes)
        if self.chip_size != int(self.chip_size) or self.chip_size < 1:
            raise ValueError(
                'chip_size must be a positive whole number. '
                f'Received: {self.chip_size}.'
            )
        low, high = self.stride_bounds
        if not 1 <= low <= high:
            raise ValueError(
                'stride must be a positive number or (low, high) '
                f'with low <= high. Received: {self.stride}.'
            )
        if high >= self.chip_size:
            raise ValueError(
                'stride must be below chip_size, or chips leave gaps. '
                f'Received: stride {self.stride}, chip_size '
                f'{self.chip_size}.'
            )

    @property
    def stride_bounds(self) -> tuple[int, int]:
        if isinstance(self.stride, (tuple, list)):
            low, high = self.stride
            return int(low), int(high)
        return int(self.stride), int(self.stride)

    def longest_sides(self, widths, heights, stride: int) -> np.ndarray:
        """The sides below which a box fits some chip wherever it lies.

        Args:
            widths (int | ndarray (...,)): Image widths, original pixels.
            heights (int | ndarray (...,)): Image heights.
            stride (int): Stride of the grid, level pixels.

        Returns:
            ndarray (..., L, 2): float64, original pixels; inf along a side
            on which the level is not larger than a chip.
        """
        levels = self.pyramid.level_sizes(widths, heights)
        longest = longest_side(self.chip_size, stride)
        limits = np.where(levels > self.chip_size, longest, np.inf)
        sides = np.stack([widths, heights], -1)
        return limits * (sides[..., None, :] / levels)


@dataclass(frozen=True)
class NegativeSettings:
    """Settings for the choice of negative chips.

    Args:
        min_proposals (int | Sequence[int], optional): Least number of
            proposals that a negative chip has of its own: one number for all
            levels, or one per level, coarse to fine. Defaults to None, as
            released: more than 25 at the finest level, more than 10 at the
            others.
        max_per_image (int): Largest number of negative chips per image and
            epoch, sampled from all candidates. Defaults to 2, as released.
        min_score (float): Proposals below this score do not count. Defaults
            to 0, as released.
        valid_ranges (Sequence[tuple], optional): (low, high) sizes of the
            proposals that count at each level, original pixels. Defaults to
            None, as released: the training ranges without their lower ends,
            except for the coarsest level. Its lower end is left out too where
            chips are cut for a focus head (``ChipSettings.focus_sizes``).

    Raises:
        ValueError: A setting is out of bounds.
    """

    min_proposals: int | Sequence[int] | None = None
    max_per_image: int = 2
    min_score: float = 0.0
    valid_ranges: Sequence[Range] | None = None

    def __post_init__(self) -> None:
        counts = self.min_proposals
        counts = np.atleast_1d(1 if counts is None else counts)
        whole = counts.ndim == 1 and counts.dtype.kind in 'iu'
        if not whole or (counts < 1).any():
            raise ValueError(
                'min_proposals must be a positive whole number, or one per '
                f'level. Received: {self.min_proposals}.'
            )
        most, score = self.max_per_image, self.min_score
        if not isinstance(most, Integral) or most < 0:
            raise ValueError(
                'max_per_image must be a whole number from 0 on. '
                f'Received: {most!r}.'
            )
        if not isinstance(score, Real) or score != score:
            raise ValueError(
                f'min_score must be a number. Received: {score!r}.'
            )

    def thresholds(self, num_levels: int) -> np.ndarray:
        """ndarray (L,): int64, least number of proposals per chip and level.

        Raises:
            ValueError: The number of entries is not the number of levels.
        """
        if self.min_proposals is None:
            return np.array([11] * (num_levels - 1) + [26])
        counts = np.atleast_1d(np.asarray(self.min_proposals, np.int64))
        if len(counts) not in (1, num_levels):
            raise ValueError(
                f'min_proposals has {len(counts)} entries for {num_levels} '
                f'levels. Received: {self.min_proposals}.'
            )
        return np.resize(counts, num_levels)

    def bounds(
        self, pyramid: ImagePyramid, for_focus: bool = False
    ) -> np.ndarray:
        """ndarray (L, 2): sizes of the proposals that count at each level.

        Args:
            pyramid (ImagePyramid): Levels and valid ranges of training.
            for_focus (bool): Whether chips are cut for a focus head. At the
                coarsest level it learns objects that are too small for the
                detector there. Defaults to False.

        Raises:
            ValueError: ``valid_ranges`` does not have one entry per level.
        """
        if self.valid_ranges is not None:
            return ImagePyramid(pyramid.scales, self.valid_ranges).bounds
        bounds = pyramid.bounds
        bounds[0 if for_focus else 1 :, 0] = 0
        return bounds


@dataclass(frozen=True)
class FocusSettings:
    """Settings that turn the FocusPixels of a level into FocusChips.

    Args:
        threshold (float): Least probability of a FocusPixel.
        dilation (int): Side, in cells, of the square that each FocusPixel is
            dilated to. Defaults to 3, as released.
        min_size (int): Least side of a FocusChip, level pixels, rounded up to
            cells. A smaller level is one FocusChip. Defaults to 256, as
            released for the coarsest level.

    Raises:
        ValueError: A setting is out of bounds.
    """

    threshold: float
    dilation: int = 3
    min_size: int = 256

    def __post_init__(self) -> None:
        if not isinstance(self.threshold, Real) or not self.threshold >= 0:
            raise ValueError(
                'threshold must be a number from 0 on. '
                f'Received: {self.threshold!r}.'
            )
        for name in ('dilation', 'min_size'):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(
                    f'{name} must be a positive whole number. '
                    f'Received: {value!r}.'
                )
