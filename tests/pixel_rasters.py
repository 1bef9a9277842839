"""Rasters as users have them, written by rasterio."""

import warnings
from pathlib import Path

import numpy as np


def write_raster(path: Path, pixels: np.ndarray, overviews=(), **profile):
    """A tiled, lossless TIFF of bands (B, H, W); ``tags`` after the fact."""
    import rasterio
    from rasterio.enums import Resampling

    colormap = profile.pop('colormap', None)
    meanings = profile.pop('colorinterp', None)
    own = dict(
        driver='GTiff',
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype.name,
        compress='deflate',
    )
    if profile.get('tiled', True):
        own.update(tiled=True, blockxsize=64, blockysize=64)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # it lies nowhere on Earth
        with rasterio.open(path, 'w', **{**own, **profile}) as file:
            if meanings:
                file.colorinterp = meanings
            if colormap:
                file.write_colormap(1, colormap)
            file.write(pixels)
            if overviews:
                file.build_overviews(overviews, Resampling.average)
    return path


def bands_of(image: np.ndarray) -> np.ndarray:
    """BGR (H, W, 3) as red, green and blue (3, H, W)."""
    return image[..., ::-1].transpose(2, 0, 1)
