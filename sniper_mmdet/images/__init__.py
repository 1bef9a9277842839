"""Reading of images of any size, region by region, and writing of images.

:func:`open_image` opens an image and reads only the regions that are needed.
:class:`Photograph` changes an image file and keeps its metadata.
"""

from .cutting import (
    LevelPart,
    cut_level,
    part_of_level,
    resize_whole,
    resize_whole_exactly,
)
from .hiding import WAYS, hide
from .opening import RASTER_SUFFIXES, open_image, reads_windows
from .orientation import turn, turn_boxes, turn_boxes_back
from .photograph import Photograph
from .source import ImageError, ImageSource, WholeImage

__all__ = [
    'RASTER_SUFFIXES',
    'WAYS',
    'ImageError',
    'ImageSource',
    'LevelPart',
    'Photograph',
    'WholeImage',
    'cut_level',
    'hide',
    'open_image',
    'part_of_level',
    'reads_windows',
    'resize_whole',
    'turn',
    'turn_boxes',
    'turn_boxes_back',
    'resize_whole_exactly',
]
