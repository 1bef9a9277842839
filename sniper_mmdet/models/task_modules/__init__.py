from .range_aware_assigner import RangeAwareAssigner
from .rounded_anchor_generator import RoundedAnchorGenerator

__all__ = ['RangeAwareAssigner', 'RoundedAnchorGenerator']
