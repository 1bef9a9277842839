"""A budget of pixels, spent on the most probable FocusPixels first."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy import ndimage

from .focus import focus_chips, move_chips
from .pyramid import ImagePyramid
from .settings import FocusSettings


@dataclass(frozen=True)
class FocusBudget:
    """The largest number of level pixels that AutoFocus looks at per image.

    The coarsest level is looked at whole and counts. Where it alone has more
    pixels than the budget, no finer level is looked at.

    Args:
        share (float, optional): Share of the pixels of all levels of the
            image, above 0 and up to 1. Defaults to None.
        mpixel (float, optional): Millions of level pixels. Defaults to None.
            Without a share and without mpixel there is no bound.

    Raises:
        ValueError: A setting is out of bounds, or both are given.
    """

    share: float | None = None
    mpixel: float | None = None

    def __post_init__(self) -> None:
        share, mpixel = self.share, self.mpixel
        if share is not None and mpixel is not None:
            raise ValueError(
                'give a budget or a budget_mpixel, not both. '
                f'Received: {share!r} and {mpixel!r}.'
            )
        if share is not None and not (
            isinstance(share, Real) and 0 < share <= 1
        ):
            raise ValueError(
                "budget must be a share of the pyramid's pixels, above 0 and "
                f'up to 1; budget_mpixel is in Mpixel. Received: {share!r}.'
            )
        if mpixel is not None and not (
            isinstance(mpixel, Real) and mpixel > 0
        ):
            raise ValueError(
                'budget_mpixel must be a positive number of Mpixel. '
                f'Received: {mpixel!r}.'
            )

    def check(self, pyramid: ImagePyramid) -> None:
        """Check that the coarsest level of every image is within the share.

        Levels that are factors have the same shares in every image. Other
        levels are not checked: their shares depend on the image.

        Raises:
            ValueError: The share is too small for the coarsest level.
        """
        scales = pyramid.scales
        if self.share is None or not all(isinstance(s, float) for s in scales):
            return
        pixels = np.square(scales)
        least = pixels[0] / pixels.sum()
        if self.share < least:
            raise ValueError(
                f'budget must be at least {np.ceil(least * 1e4) / 1e4:g}: the '
                'coarsest level is looked at whole and has this share of the '
                f"pyramid's pixels. Received: {self.share}."
            )

    def pixels(self, sizes: np.ndarray) -> float:
        """The budget in level pixels, for an image with level sizes (L, 2)."""
        if self.share is not None:
            return self.share * float(sizes.prod(1).sum())
        return np.inf if self.mpixel is None else self.mpixel * 1e6


#: No bound: every FocusPixel from the threshold on is used.
NO_BUDGET = FocusBudget()


def chips_within(
    probability: np.ndarray,
    size: tuple[int, int],
    new_size: tuple[int, int],
    settings: FocusSettings,
    stride: int = 16,
    most_pixels: float = np.inf,
) -> tuple[np.ndarray, float]:
    """Find FocusChips of the next level, within a number of pixels.

    The chips cover all FocusPixels from the threshold on if these fit. If not,
    they cover the most probable ones; a bisection finds how many fit. One more
    would not fit. Many more might, since chips that meet become one. Of
    equally probable FocusPixels the first in reading order go first.

    Args:
        probability (ndarray (H, W)): See :func:`focus_chips`.
        size (tuple[int]): (width, height) of the level, level pixels.
        new_size (tuple[int]): (width, height) of the next level.
        settings (FocusSettings): Settings of the level.
        stride (int): Side of a cell in both levels. Defaults to 16.
        most_pixels (float): Largest number of pixels of the next level.
            Defaults to no bound.

    Returns:
        tuple: The chips, as :func:`move_chips` returns them; and the least
        probability of a FocusPixel that was used. This is the threshold if all
        fit, inf if none does.
    """
    dilation, min_size = settings.dilation, settings.min_size

    def chips(values: np.ndarray, threshold: float, dilation: int):
        found = focus_chips(
            values, size, threshold, dilation, min_size, stride
        )
        return move_chips(found, size, new_size, stride)

    found = chips(probability, settings.threshold, dilation)
    if count_pixels(found) <= most_pixels:
        return found, settings.threshold
    order = np.argsort(-probability, axis=None, kind='stable')  # NaN is last
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    # For each cell: the number of FocusPixels from which on it is looked at.
    rank = rank.reshape(probability.shape)
    how = dict(mode='constant', cval=order.size)
    needed = 1 + ndimage.minimum_filter(rank, dilation, **how)
    over = np.count_nonzero(probability >= settings.threshold)
    # Chips have at least these cells; the last ones may stick out.
    cell = stride**2 * np.prod(np.divide(new_size, size))
    cells = np.sort(needed[:-1, :-1], axis=None)
    over = min([over, *cells[int(most_pixels // cell) :][:1]])
    fit, best = 0, np.zeros((0, 4), np.int64)
    while over - fit > 1:
        count = (fit + over) // 2
        found = chips(needed <= count, True, 1)
        if count_pixels(found) <= most_pixels:
            fit, best = count, found
        else:
            over = count
    least = float(probability.flat[order[fit - 1]]) if fit else np.inf
    return best, least


def count_pixels(chips: np.ndarray) -> int:
    """Level pixels of chips (C, 4) that do not overlap."""
    return int((chips[:, 2:] - chips[:, :2]).prod(1).sum())
