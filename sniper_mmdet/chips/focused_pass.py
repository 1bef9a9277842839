"""Chooses the parts of training images that a focused pass looks at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from .budget import chips_within, count_pixels
from .settings import FocusSettings


@dataclass(frozen=True)
class FocusedPass:
    """Choose the parts of an image that a pass for negative chips looks at.

    The pass looks at the whole coarsest level. In each finer level it looks at
    the FocusChips of a lower threshold than in tests, and at some random
    places. These show what a focus head wrongly leaves out.

    Args:
        share (float): Largest share of the pixels of all levels of the image
            that is looked at. The most probable FocusPixels come first. Where
            the coarsest level has more pixels, it is looked at alone. Defaults
            to 0.15.
        factor (float): Factor by which the thresholds of tests are multiplied.
            Defaults to 0.1.
        elsewhere (int): Number of random places per level. Each counts as a
            FocusPixel of a random probability. Defaults to 2.

    Raises:
        ValueError: A setting is out of bounds.
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
        """Choose the chips of the next level.

        The rest of the image's share is divided among the remaining levels by
        their pixels. Chips are small enough that four of them fit.

        Args:
            probability (ndarray (H, W)): Probability of FocusPixels of the
                last level that was looked at; negative where it was not.
            sizes (ndarray (L, 2)): (width, height) of all levels.
            looked (Sequence[ndarray (C, 4)]): Parts that were looked at, by
                level.
            step (FocusSettings): Settings of tests for this map.
            stride (int): Stride of the map, level pixels.
            rng (Generator): Chooses the random places.

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
