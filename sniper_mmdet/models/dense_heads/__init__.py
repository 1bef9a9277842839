from .focus_head import FocusHead
from .released_rpn_head import ReleasedRPNHead
