from .autofocus import AutoFocus
from .pyramid_detector import PyramidDetector

__all__ = ['AutoFocus', 'PyramidDetector']
