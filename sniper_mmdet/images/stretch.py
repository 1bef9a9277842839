"""Conversion of a raster's bands to three bands of eight bits."""

from collections.abc import Sequence

import numpy as np

from sniper_mmdet.utils.errors import UserError

#: The value of value_range that stands for percentiles of an overview.
PERCENTILES = 'percentiles'
_PERCENTILES = 2, 98

#: One (low, high) for all bands, or one per band.
ValueRange = Sequence[float] | Sequence[Sequence[float]]


def chosen_bands(
    count: int,
    meanings: Sequence[str],
    bands: Sequence[int] | None,
    path: str,
) -> list[int]:
    """Choose the bands for red, green and blue, or one band for grey.

    Args:
        count (int): Number of bands of the file.
        meanings (Sequence[str]): GDAL's color interpretation of each band,
            such as 'red' or 'gray'.
        bands (Sequence[int], optional): Bands that the user wants, from 1 on.
            None takes red, green and blue, or the first band if the others are
            at most an alpha.
        path (str): The file, for error messages.

    Raises:
        UserError: There are no such bands, or the choice is not clear.
    """
    if bands is not None:
        if isinstance(bands, str) or not isinstance(bands, Sequence):
            raise UserError(
                f'bands of {path} must be a list such as (3, 2, 1). Received: '
                f'{bands!r}.'
            )
        if len(bands) not in (1, 3) or not all(1 <= b <= count for b in bands):
            raise UserError(
                f'bands of {path} must be one or three of 1 to {count}. '
                f'Received: {tuple(bands)}.'
            )
        return list(bands)
    colours = 'red', 'green', 'blue'
    if all(colour in meanings for colour in colours):
        return [meanings.index(colour) + 1 for colour in colours]
    seen = count - ('alpha' in meanings)
    if seen <= 2:
        return [1]
    if seen == 3:
        return [1, 2, 3]
    raise UserError(
        f'{path} has {count} bands, none of which is marked as red, green '
        'and blue: bands must name them, as bands=(3, 2, 1).'
    )


def range_of(sample: np.ndarray) -> np.ndarray:
    """Return percentiles 2 and 98 of each band, float (B, 2), without NaN.

    Args:
        sample (ndarray (B, h, w)): Pixels; missing ones are masked or NaN.
    """
    filled = np.ma.filled(np.ma.asarray(sample, dtype=float), np.nan)
    filled = filled.reshape(len(filled), -1)
    if np.isnan(filled).all():
        return np.tile([0.0, 1.0], (len(filled), 1))
    return np.nanpercentile(filled, _PERCENTILES, axis=1).T


def to_eight_bits(pixels: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Scale pixels to uint8 (B, h, w): low becomes 0, high 255, with clipping.

    Args:
        pixels (ndarray (B, h, w)): Pixels of any dtype; NaN becomes 0.
        value_range (Sequence): (low, high), or one per band.
    """
    bounds = np.broadcast_to(
        np.asarray(value_range, np.float32), (len(pixels), 2)
    )
    low, high = bounds[:, :1, None], bounds[:, 1:, None]
    span = np.maximum(high - low, np.finfo(np.float32).tiny)
    scaled = (pixels.astype(np.float32) - low) * (255 / span)
    return np.nan_to_num(scaled).clip(0, 255).round().astype(np.uint8)


def check_range(value_range, path: str) -> None:
    """Raise UserError if a range is neither numbers nor 'percentiles'."""
    if value_range is None or is_percentiles(value_range):
        return
    try:
        bounds = np.asarray(value_range, float)
    except (TypeError, ValueError):
        bounds = np.zeros(0)
    if (
        bounds.shape not in [(2,), (1, 2), (3, 2)]
        or not (bounds[..., 0] < bounds[..., 1]).all()
    ):
        raise UserError(
            f'value_range of {path} must be (low, high), one a band, or '
            f'{PERCENTILES!r}. Received: {value_range!r}.'
        )


def is_percentiles(value_range) -> bool:
    """Test whether a range is to be taken from the file."""
    return isinstance(value_range, str) and value_range == PERCENTILES
