from .cut_chip import CutChip

__all__ = ['CutChip']
