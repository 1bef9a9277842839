from .dense_heads import FocusHead
from .detectors import AutoFocus, PyramidDetector
from .task_modules import RangeAwareAssigner

__all__ = ['AutoFocus', 'FocusHead', 'PyramidDetector', 'RangeAwareAssigner']
