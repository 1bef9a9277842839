from .half_precision import HalfPrecisionOptimWrapper
from .hooks import ChipMiningHook, NegativeChipMiningHook

__all__ = [
    'ChipMiningHook',
    'HalfPrecisionOptimWrapper',
    'NegativeChipMiningHook',
]
