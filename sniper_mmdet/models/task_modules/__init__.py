from .hard_anchor_sampler import HardAnchorSampler
from .ignored_boxes import IgnoresByIoU, annotated, resembles
from .last_pixel_coder import LastPixelBoxCoder
from .range_aware_assigner import (
    RangeAwareAssigner,
    RangeAwareATSSAssigner,
    RangeAwareDynamicSoftLabelAssigner,
    RangeAwareSimOTAAssigner,
    RangeAwareTaskAlignedAssigner,
    RangeAwareUniformAssigner,
)
from .rounded_anchor_generator import RoundedAnchorGenerator
