from .range_aware_assigner import RangeAwareAssigner, RangeAwareATSSAssigner
from .rounded_anchor_generator import RoundedAnchorGenerator

__all__ = [
    'RangeAwareAssigner',
    'RangeAwareATSSAssigner',
    'RoundedAnchorGenerator',
]
