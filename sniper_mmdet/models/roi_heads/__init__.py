from .chip_roi_head import ChipRoIHead
from .deform_roi_extractor import DeformRoIExtractor
from .two_way_mask_head import TwoWayMaskHead

__all__ = ['ChipRoIHead', 'DeformRoIExtractor', 'TwoWayMaskHead']
