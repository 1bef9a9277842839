from .ignored_boxes import IgnoresByIoU, annotated, resembles
from .range_aware_assigner import (
    RangeAwareAssigner,
    RangeAwareATSSAssigner,
    RangeAwareDynamicSoftLabelAssigner,
    RangeAwareSimOTAAssigner,
    RangeAwareTaskAlignedAssigner,
    RangeAwareUniformAssigner,
)
from .rounded_anchor_generator import RoundedAnchorGenerator
