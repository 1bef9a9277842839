from .hooks import ChipMiningHook, NegativeChipMiningHook

__all__ = ['ChipMiningHook', 'NegativeChipMiningHook']
