from .chip_mining_hook import ChipMiningHook

__all__ = ['ChipMiningHook']
