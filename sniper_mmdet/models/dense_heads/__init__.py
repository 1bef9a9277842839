from .focus_head import FocusHead
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
    RangeAwareDeformableDETRHead,
    RangeAwareDINOHead,
)
from .released_rpn_head import ReleasedRPNHead
