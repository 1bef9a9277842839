from .half_precision import HalfPrecisionOptimWrapper
from .hooks import (
    ChipMiningHook,
    ChipVisualizationHook,
    NegativeChipMiningHook,
)

__all__ = [
    'ChipMiningHook',
    'ChipVisualizationHook',
    'HalfPrecisionOptimWrapper',
    'NegativeChipMiningHook',
]
