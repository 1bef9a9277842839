"""Detectors and their parts, by kind, as MMDetection has them.

What differs from a parent of mmdet is said in each class's docstring.
"""

from sniper_mmdet.moved import getattr_of

from .backbones import ExpandedMobileNetV2, PlainVGG, PreActResNet
from .dense_heads import FocusHead, ReleasedRPNHead, SSHHead
from .detectors import AutoFocus, PyramidDetector, ReleasedFasterRCNN
from .necks import SSHNeck
from .roi_heads import DeformRoIExtractor, ReleasedRoIHead, TwoWayMaskHead
from .task_modules import (
    HardAnchorSampler,
    LastPixelBoxCoder,
    RangeAwareAssigner,
    RangeAwareATSSAssigner,
    RoundedAnchorGenerator,
)

__getattr__ = getattr_of(__name__)
