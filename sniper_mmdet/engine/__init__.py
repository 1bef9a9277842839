"""What happens around training: hooks, precision, building, checkpoints.

Whoever needs a detector with its weights or a data set of a config asks here.
"""

from .half_precision import HalfPrecisionOptimWrapper
from .hooks import (
    ChipMiningHook,
    ChipVisualizationHook,
    DataCheckHook,
    NegativeChipMiningHook,
)
