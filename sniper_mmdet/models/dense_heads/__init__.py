from .focus_head import FocusHead

__all__ = ['FocusHead']
