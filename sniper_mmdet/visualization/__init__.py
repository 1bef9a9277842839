from .chips import draw_chips

__all__ = ['draw_chips']
