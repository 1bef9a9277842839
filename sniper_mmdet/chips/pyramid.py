"""The image pyramid: levels (scales) and their valid ranges."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numba.extending import register_jitable

Scale = float | tuple[int, int]
Range = tuple[float | None, float | None]


@register_jitable
def in_range(sizes, low, high):
    """Test whether sizes are in a valid range: ``low <= size < high``.

    The whole package uses this test, for numbers, arrays and tensors. Only the
    released second stage has another, see
    :func:`~sniper_mmdet.structures.in_released_range`.

    Args:
        sizes (float | ndarray | Tensor): sqrt(width * height) of boxes.
        low (float | ndarray): Lower end, in the same pixels.
        high (float | ndarray): Upper end, in the same pixels.
    """
    return (sizes >= low) & (sizes < high)


@dataclass(frozen=True)
class ImagePyramid:
    """Levels of an image, coarse to fine, and their valid ranges.

    A level is a factor (``1.667``), a ``(short, long)`` bound on the sides of
    the resized image as in mmdet's ``Resize`` (either order), or
    ``(-1, long)`` for a bound on the long side alone. A box is valid at a
    level when ``low <= sqrt(width * height) < high``, in original pixels;
    None leaves an end open.

    Args:
        scales (Sequence): The levels, coarse to fine.
        valid_ranges (Sequence[tuple], optional): ``(low, high)`` per level.
            Defaults to None: every box is valid at every level.
        base (tuple, optional): A level; factors are multiples of its size.
            Defaults to None: factors are multiples of the image's size.
        exact (bool): Whether to resize as Fast R-CNN and its relatives do: by
            a factor instead of to a size. The factor is the same in both
            directions, sides are rounded half to even, and the bound on the
            long side holds after rounding. Defaults to False: resize as mmcv's
            ``imrescale`` does.

    Raises:
        ValueError: The scales or ranges are malformed, or do not match.

    Examples:
        >>> from sniper_mmdet.chips import ImagePyramid
        >>> pyramid = ImagePyramid([(-1, 512), 1.667, 3.0],
        ...                        [(120, None), (32, 150), (0, 80)])
        >>> pyramid.factors(640, 480)
        array([0.8  , 1.667, 3.   ])
        >>> pyramid.level_sizes(640, 480).tolist()
        [[512, 384], [1067, 800], [1920, 1440]]
    """

    scales: Sequence[Scale]
    valid_ranges: Sequence[Range] | None = None
    base: tuple[int, int] | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        scales = self.scales
        if isinstance(scales, Real):
            scales = (scales,)
        scales = tuple(_parse_scale(scale) for scale in scales)
        if not scales:
            raise ValueError(
                'scales must name at least one level. '
                f'Received: {self.scales}.'
            )
        # The image decides which of two scales of different kinds is finer.
        kinds: dict[bool | None, list] = {}
        for scale in scales:
            kind = None if isinstance(scale, float) else scale[0] == -1
            kinds.setdefault(kind, []).append(scale)
        if any(alike != sorted(alike) for alike in kinds.values()):
            raise ValueError(
                'scales must be listed coarse to fine. '
                f'Received: {self.scales}.'
            )
        ranges = self.valid_ranges
        if ranges is None:
            ranges = ((None, None),) * len(scales)
        if len(ranges) != len(scales):
            raise ValueError(
                f'valid_ranges has {len(ranges)} entries for {len(scales)} '
                f'scales; give one per scale. Received: {ranges}.'
            )
        ranges = tuple(_parse_range(r) for r in ranges)
        if self.base is not None:
            base = _parse_scale(self.base)
            if isinstance(base, float):
                raise ValueError(
                    'base must be (short, long) or (-1, long). '
                    f'Received: {self.base!r}.'
                )
            object.__setattr__(self, 'base', base)
        object.__setattr__(self, 'scales', scales)
        object.__setattr__(self, 'valid_ranges', ranges)

    def __len__(self) -> int:
        return len(self.scales)

    @property
    def bounds(self) -> np.ndarray:
        """ndarray (L, 2): the valid ranges; open ends are 0 and inf."""
        bounds = np.array(self.valid_ranges, float)  # None becomes NaN
        return np.where(np.isnan(bounds), (0, np.inf), bounds)

    @property
    def is_trivial(self) -> bool:
        """bool: whether there is one level, valid for every box."""
        return self.valid_ranges == ((None, None),)

    def factors(self, width, height) -> np.ndarray:
        """Factors from original to level pixels.

        Args:
            width (int | ndarray): Image width(s) in original pixels.
            height (int | ndarray): Image height(s).

        Returns:
            ndarray (..., L): float64 factors.
        """
        width, height = np.asarray(width), np.asarray(height)
        long, short = np.maximum(width, height), np.minimum(width, height)
        base = (
            1.0 if self.base is None else self._bound(self.base, long, short)
        )
        columns = [
            np.full(long.shape, scale) * base
            if isinstance(scale, float)
            else self._bound(scale, long, short)
            for scale in self.scales
        ]
        return np.stack(columns, -1)

    def _bound(
        self, scale: tuple[int, int], long: np.ndarray, short: np.ndarray
    ) -> np.ndarray:
        """Factors by which images get the largest sides within the bounds."""
        by_long = scale[1] / long
        if scale[0] == -1:
            return by_long
        by_short = scale[0] / short
        if self.exact:
            fits = np.rint(by_short * long) <= scale[1]
            return np.where(fits, by_short, by_long)
        return np.minimum(by_long, by_short)

    def level_sizes(self, width, height) -> np.ndarray:
        """Size of the resized images, rounded as by mmcv's ``rescale_size``.

        Returns:
            ndarray (..., L, 2): int (width, height) in level pixels.
        """
        factors = self.factors(width, height)
        sides = np.stack([width, height], -1)
        sizes = sides[..., None, :] * factors[..., None]
        sizes = np.rint(sizes) if self.exact else sizes + 0.5
        return np.maximum(sizes.astype(np.int64), 1)

    def level_scales(self, width: int, height: int) -> np.ndarray:
        """ndarray (L, 2): (fx, fy) from original to level pixels."""
        if self.exact:
            return self.factors(width, height)[:, None].repeat(2, 1)
        return self.level_sizes(width, height) / (width, height)

    def is_valid(self, sizes: np.ndarray) -> np.ndarray:
        """Test at which levels boxes of these sizes (N,) are valid.

        Sizes are in original pixels.

        Returns:
            ndarray (N, L): bool.
        """
        return in_range(sizes[:, None], *self.bounds.T)


def _parse_scale(scale) -> Scale:
    if isinstance(scale, Real) and not isinstance(scale, bool):
        if 0 < (factor := float(scale)) < np.inf:
            return factor
    elif isinstance(scale, (tuple, list)) and len(scale) == 2:
        if all(isinstance(side, Real) for side in scale):
            low, high = sorted(scale)
            if high > 0 and (low > 0 or low == -1):
                return low, high
    raise ValueError(
        'a scale must be a positive factor, (short, long) or '
        f'(-1, long). Received: {scale!r}.'
    )


def _parse_range(valid_range) -> Range:
    try:
        low, high = valid_range
        ordered = 0 <= (low or 0) < (np.inf if high is None else high)
    except (TypeError, ValueError):
        raise ValueError(
            'a valid range must be (low, high), each a size in '
            f'pixels or None. Received: {valid_range!r}.'
        ) from None
    if not ordered:
        raise ValueError(
            'a valid range must have 0 <= low < high. '
            f'Received: {valid_range!r}.'
        )
    # An open end written as 0 or inf is the same range as one written None.
    return low or None, None if high in (None, float('inf')) else high
