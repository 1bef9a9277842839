from .chips import draw_chips
from .focus import draw_focus

__all__ = ['draw_chips', 'draw_focus']
