from .cut_chip import CutChip
