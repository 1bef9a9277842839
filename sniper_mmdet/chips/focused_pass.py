"""Where a pass over training images looks, if a focus head tells where."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from .budget import chips_within, count_pixels
from .settings import FocusSettings


@dataclass(frozen=True)
class FocusedPass:
    """How much of an image, and where, a pass for negative chips looks at.

    The coarsest level is looked at whole, of each finer one the FocusChips
    of a lower threshold than in tests, and some places at random: what a
    focus head wrongly leaves out is seen there.

    Args:
        share (float): Most pixels that are looked at, of all levels of the
            image. The most probable FocusPixels come first. A coarsest level
            of more pixels is looked at alone. Defaults to 0.15.
        factor (float): Of the thresholds of tests. Defaults to 0.1.
        elsewhere (int): Random places of each level that are as good as
            FocusPixels of a probability drawn at random. Defaults to 2.

    Raises:
        ValueError: A setting out of bounds.
    """

    share: float = 0.15
    factor: float = 0.1
    elsewhere: int = 2

    def __post_init__(self) -> None:
        for name in ('share', 'factor'):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < float(value) <= 1:
                raise ValueError(
                    f'{name} must be a number above 0 and up to 1. '
                    f'Received: {value!r}.'
                )
        if not isinstance(self.elsewhere, Integral) or self.elsewhere < 0:
            raise ValueError(
                'elsewhere must be a whole number from 0 on. '
                f'Received: {self.elsewhere!r}.'
            )

    def chips(
        self,
        probability: np.ndarray,
        sizes: np.ndarray,
        looked: Sequence[np.ndarray],
        step: FocusSettings,
        stride: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """What is looked at of the next level.

        What the levels so far leave of the image's share is divided among
        those that are to come by their pixels. A chip is small enough for
        four of them to fit.

        Args:
            probability (ndarray (H, W)): Of FocusPixels of the last level
                that was looked at, negative where it was not.
            sizes (ndarray (L, 2)): (width, height) of all levels.
            looked (Sequence[ndarray (C, 4)]): By level, what was looked at.
            step (FocusSettings): Of tests, for this map.
            stride (int): Of the map, level pixels.
            rng (Generator): Draws the places elsewhere.

        Returns:
            ndarray (D, 4): int64, pixels of the next level.
        """
        threshold = step.threshold * self.factor
        probability = probability.copy()
        places = rng.integers(probability.size, size=self.elsewhere)
        drawn = np.maximum(rng.random(self.elsewhere), threshold)
        np.maximum.at(probability.reshape(-1), places, drawn)

        level = len(looked)
        areas = sizes.prod(1)
        left = self.share * areas.sum() - sum(map(count_pixels, looked))
        left = max(left, 0) * areas[level] / areas[level:].sum()
        ratio = np.sqrt(areas[level] / areas[level - 1])
        least = max(min(step.min_size, int(np.sqrt(left) / 2 / ratio)), 1)
        step = replace(step, threshold=threshold, min_size=least)
        moved = sizes[level - 1], sizes[level], step, stride
        return chips_within(probability, *moved, left)[0]
