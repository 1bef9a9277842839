from .ignored_boxes import annotated, resembles
from .range_aware_assigner import (
    RangeAwareAssigner,
    RangeAwareATSSAssigner,
    RangeAwareDynamicSoftLabelAssigner,
    RangeAwareSimOTAAssigner,
    RangeAwareTaskAlignedAssigner,
)
from .rounded_anchor_generator import RoundedAnchorGenerator
