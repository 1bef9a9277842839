from .autofocus import AutoFocus
from .chip_faster_rcnn import ChipFasterRCNN
from .pyramid_detector import PyramidDetector

__all__ = ['AutoFocus', 'ChipFasterRCNN', 'PyramidDetector']
