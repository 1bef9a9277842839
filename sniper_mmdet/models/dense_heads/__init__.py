from .focus_head import FocusHead
from .range_aware_cascade_rpn_head import RangeAwareCascadeRPNHead
from .range_aware_guided_heads import (
    RangeAwareGARetinaHead,
    RangeAwareGARPNHead,
)
from .range_aware_heat_heads import (
    RangeAwareCenterNetUpdateHead,
    RangeAwareCentripetalHead,
    RangeAwareCornerHead,
)
from .range_aware_mask_heads import (
    RangeAwareMask2FormerHead,
    RangeAwareMaskFormerHead,
)
from .range_aware_point_heads import (
    RangeAwareBoxInstBboxHead,
    RangeAwareCondInstBboxHead,
    RangeAwareFCOSHead,
    RangeAwareFoveaHead,
    RangeAwareNASFCOSHead,
)
from .range_aware_query_heads import (
    RangeAwareConditionalDETRHead,
    RangeAwareDABDETRHead,
    RangeAwareDDQDETRHead,
    RangeAwareDeformableDETRHead,
    RangeAwareDETRHead,
    RangeAwareDINOHead,
)
from .range_aware_vfnet_head import RangeAwareVFNetHead
from .range_aware_weighing_heads import (
    RangeAwareAutoAssignHead,
    RangeAwareFreeAnchorRetinaHead,
)
from .range_aware_yolov3_head import RangeAwareYOLOV3Head
from .range_aware_yolox_head import RangeAwareYOLOXHead
from .released_rpn_head import ReleasedRPNHead
from .rfcn3k_rpn_head import RFCN3kRPNHead
from .soft_sampling_heads import (
    SoftSamplingATSSHead,
    SoftSamplingGFLHead,
    SoftSamplingRetinaHead,
    SoftSamplingRPNHead,
    SoftSamplingRTMDetHead,
    SoftSamplingRTMDetSepBNHead,
)
from .soft_sampling_point_heads import (
    SoftSamplingFCOSHead,
    SoftSamplingFoveaHead,
    SoftSamplingNASFCOSHead,
)
from .ssh_head import SSHHead
