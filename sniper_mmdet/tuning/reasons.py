"""Why settings are proposed, in sentences."""

from collections.abc import Iterator, Sequence

from .measure import Measured

#: Enlarging beyond the finest level released shows nothing that is not there.
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
