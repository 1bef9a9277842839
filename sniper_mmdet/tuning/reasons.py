"""Reasons for proposed settings, in sentences."""

from collections.abc import Iterator, Sequence

from .measure import Measured

#: Enlarging more than the finest released level shows no new detail.
MAX_FACTOR = 3.0


def _short(pixels) -> str:
    return f'{pixels:.0f}' if pixels >= 100 else f'{pixels:.3g}'


def reasons_of(
    data: Measured,
    factors: Sequence[float],
    one_chip: bool,
    bounds: Sequence[tuple[float, float]],
    low: float,
    high: float,
) -> Iterator[str]:
    """Explain the choice of the finest level, the coarsest and the ranges."""
    if data.relative:
        yield (
            'The level is given by the long side: box sizes vary clearly less '
            'relative to their images than in pixels.'
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
            'enlarging more than 3 times shows no new detail'
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
            f'A level trains boxes of {low:.0f} to {high:.0f} px there, the '
            'finest level also all smaller ones, the coarsest all larger '
            'ones; neighbouring ranges overlap by a factor of '
            f'{min(overlaps):.1f} or more.'
        )
