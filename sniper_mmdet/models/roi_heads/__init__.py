from .deform_roi_extractor import DeformRoIExtractor
from .released_roi_head import ReleasedRoIHead
from .rfcn3k_bbox_head import RFCN3kBBoxHead
from .rfcn3k_few_shot_bbox_head import RFCN3kFewShotBBoxHead
from .rfcn3k_roi_head import RFCN3kRoIHead
from .two_way_mask_head import TwoWayMaskHead
