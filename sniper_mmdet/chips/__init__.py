"""Geometry of chips, in NumPy, SciPy and Numba, without torch or OpenMMLab.

Boxes are float32 ``(x1, y1, x2, y2)``, half-open, in original pixels unless a
name says otherwise (``*_level``: pixels of a resized image, ``*_chip``: pixels
of a chip). Levels are listed coarse to fine.
"""

from sniper_mmdet.moved import getattr_of

from .boxes import (
    BoxState,
    ImageBoxes,
    box_sizes,
    classify_boxes,
    clip_boxes,
    seen_in,
    whole_in,
)
from .coco import from_coco
from .focused_pass import FocusedPass
from .mining import (
    assign_boxes,
    box_coverage,
    draw_stride,
    mine_chips,
    valid_boxes,
)
from .negatives import Proposals, uncovered_proposals
from .presets import RELEASED_COCO
from .pyramid import ImagePyramid, in_range
from .settings import ChipSettings, FocusSettings, NegativeSettings
from .table import CHIP_DTYPE, chip_pixels, chip_regions

__getattr__ = getattr_of(__name__)
