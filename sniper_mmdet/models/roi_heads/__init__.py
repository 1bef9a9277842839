from .deform_roi_extractor import DeformRoIExtractor
from .released_roi_head import ReleasedRoIHead
from .two_way_mask_head import TwoWayMaskHead
