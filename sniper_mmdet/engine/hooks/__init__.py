from .chip_mining_hook import ChipMiningHook
from .chip_visualization_hook import ChipVisualizationHook
from .negative_chip_mining_hook import NegativeChipMiningHook

__all__ = [
    'ChipMiningHook',
    'ChipVisualizationHook',
    'NegativeChipMiningHook',
]
