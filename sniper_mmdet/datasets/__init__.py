from .chip_dataset import ChipDataset
from .chip_sampler import ChipSampler
from .proposals import ProposalFile, image_id, image_keys, write_proposals
from .transforms import CutChip

__all__ = [
    'ChipDataset',
    'ChipSampler',
    'CutChip',
    'ProposalFile',
    'image_id',
    'image_keys',
    'write_proposals',
]
