from .backbones import ExpandedMobileNetV2, PreActResNet
from .dense_heads import ChipRPNHead, FocusHead
from .detectors import AutoFocus, ChipFasterRCNN, PyramidDetector
from .roi_heads import ChipRoIHead, DeformRoIExtractor, TwoWayMaskHead
from .task_modules import (
    RangeAwareAssigner,
    RangeAwareATSSAssigner,
    RoundedAnchorGenerator,
)

__all__ = [
    'AutoFocus',
    'ChipFasterRCNN',
    'ChipRPNHead',
    'ChipRoIHead',
    'DeformRoIExtractor',
    'ExpandedMobileNetV2',
    'FocusHead',
    'PreActResNet',
    'PyramidDetector',
    'RangeAwareAssigner',
    'RangeAwareATSSAssigner',
    'RoundedAnchorGenerator',
    'TwoWayMaskHead',
]
