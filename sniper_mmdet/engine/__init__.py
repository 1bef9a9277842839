from .hooks import ChipMiningHook

__all__ = ['ChipMiningHook']
