"""Detectors and their parts, by kind, as MMDetection has them.

The docstring of each class says how it differs from its parent in mmdet.
"""

from sniper_mmdet.moved import getattr_of

from .backbones import ExpandedMobileNetV2, PlainVGG, PreActResNet
from .dense_heads import FocusHead, ReleasedRPNHead, RFCN3kRPNHead, SSHHead
from .detectors import (
    AutoFocus,
    PyramidDetector,
    ReleasedFasterRCNN,
    RFCN3k,
)
from .losses import AncestorFocalLoss, SigmoidRoILoss
from .necks import SSHNeck
from .roi_heads import (
    DecoupledBBoxHead,
    DecoupledCascadeRoIHead,
    DecoupledPooledBBoxHead,
    DecoupledRoIHead,
    DeformRoIExtractor,
    ReleasedRoIHead,
    RFCN3kBBoxHead,
    RFCN3kFewShotBBoxHead,
    RFCN3kRoIHead,
    TwoWayMaskHead,
)
from .task_modules import (
    HardAnchorSampler,
    LastPixelBoxCoder,
    RangeAwareAssigner,
    RangeAwareATSSAssigner,
    ReleasedBoxCoder,
    RoundedAnchorGenerator,
)

__getattr__ = getattr_of(__name__)
