from .pyramid_detector import PyramidDetector

__all__ = ['PyramidDetector']
