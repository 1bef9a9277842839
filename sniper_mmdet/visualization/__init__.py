"""Pictures of chips, of sizes of boxes, and of what AutoFocus looked at.

Functions of arrays that return arrays or figures and write no file. Detections
are drawn by mmdet's visualizer; here is made what it can draw.
"""

from .chips import draw_chips, draw_image
from .detections import MAX_PIXELS, at_most, with_palette
from .focus import draw_focus
from .sizes import draw_sizes
