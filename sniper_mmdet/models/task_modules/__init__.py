from .ignored_boxes import IgnoresByIoU, annotated, resembles
from .range_aware_assigner import (
    RangeAwareAssigner,
    RangeAwareATSSAssigner,
    RangeAwareDynamicSoftLabelAssigner,
    RangeAwareSimOTAAssigner,
    RangeAwareTaskAlignedAssigner,
    RangeAwareUniformAssigner,
)
from .released_box_coder import ReleasedBoxCoder
from .rounded_anchor_generator import RoundedAnchorGenerator
