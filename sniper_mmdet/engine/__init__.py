"""Hooks, half precision, checkpoints, and the building of models and data.

The functions here load a detector with its weights, or a dataset of a config.
"""

from . import checkpoint_files as _files  # noqa: F401  # safe from now on
from .half_precision import HalfPrecisionOptimWrapper
from .hooks import (
    ChipMiningHook,
    ChipVisualizationHook,
    DataCheckHook,
    DetectionVisualizationHook,
    NegativeChipMiningHook,
    ResumeHook,
)
from .whole_backend import WholeBackend
