from .chips import draw_chips, draw_image
from .focus import draw_focus
from .sizes import draw_sizes

__all__ = ['draw_chips', 'draw_focus', 'draw_image', 'draw_sizes']
