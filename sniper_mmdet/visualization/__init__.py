"""Drawings of chips, of object sizes, and of the parts AutoFocus looked at.

The functions take arrays, return arrays or figures, and write no file. mmdet's
visualizer draws detections; this room prepares its inputs.
"""

from .chips import draw_chips, draw_image
from .detections import MAX_PIXELS, at_most, with_palette
from .focus import draw_focus
from .sizes import draw_sizes
