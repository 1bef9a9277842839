from .chip_dataset import ChipDataset
from .chip_sampler import ChipSampler
from .transforms import CutChip

__all__ = ['ChipDataset', 'ChipSampler', 'CutChip']
