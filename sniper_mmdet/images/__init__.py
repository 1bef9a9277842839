"""Pixels of images of any size: no more is read than is looked at."""

from .cutting import LevelPart, cut_level, part_of_level, resize_whole
from .opening import RASTER_SUFFIXES, open_image, reads_windows
from .source import ImageError, ImageSource, WholeImage

__all__ = [
    'RASTER_SUFFIXES',
    'ImageError',
    'ImageSource',
    'LevelPart',
    'WholeImage',
    'cut_level',
    'open_image',
    'part_of_level',
    'reads_windows',
    'resize_whole',
]
