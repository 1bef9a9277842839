from .chips import draw_chips
from .focus import draw_focus
from .sizes import draw_sizes

__all__ = ['draw_chips', 'draw_focus', 'draw_sizes']
