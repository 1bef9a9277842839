from .range_aware_assigner import RangeAwareAssigner

__all__ = ['RangeAwareAssigner']
