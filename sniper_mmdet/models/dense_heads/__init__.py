from .chip_rpn_head import ChipRPNHead
from .focus_head import FocusHead

__all__ = ['ChipRPNHead', 'FocusHead']
