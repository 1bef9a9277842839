"""Geometry of chips: NumPy and Numba only, nothing of torch or OpenMMLab.

Boxes are float32 ``(x1, y1, x2, y2)``, half-open, in original pixels unless a
name says otherwise (``*_level``: pixels of a resized image, ``*_chip``: pixels
of a chip). Levels are listed coarse to fine.
"""

from .advice import Advice, suggest
from .boxes import BoxState, ImageBoxes, box_sizes, classify_boxes, from_coco
from .mining import (
    assign_boxes,
    box_coverage,
    draw_stride,
    mine_chips,
    valid_boxes,
)
from .negatives import Proposals, uncovered_proposals
from .outlook import focus_share, outlook
from .pyramid import ImagePyramid
from .settings import (
    CHIP_DTYPE,
    ChipSettings,
    FocusSettings,
    NegativeSettings,
)
from .statistics import RELEASED_COCO, chip_statistics

__all__ = [
    'Advice',
    'BoxState',
    'CHIP_DTYPE',
    'ChipSettings',
    'FocusSettings',
    'ImageBoxes',
    'ImagePyramid',
    'NegativeSettings',
    'Proposals',
    'RELEASED_COCO',
    'assign_boxes',
    'box_coverage',
    'box_sizes',
    'chip_statistics',
    'classify_boxes',
    'draw_stride',
    'focus_share',
    'from_coco',
    'mine_chips',
    'outlook',
    'suggest',
    'uncovered_proposals',
    'valid_boxes',
]
