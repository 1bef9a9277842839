from .detectors import PyramidDetector
from .task_modules import RangeAwareAssigner

__all__ = ['PyramidDetector', 'RangeAwareAssigner']
