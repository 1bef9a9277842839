from .chip_mining_hook import ChipMiningHook
from .negative_chip_mining_hook import NegativeChipMiningHook

__all__ = ['ChipMiningHook', 'NegativeChipMiningHook']
