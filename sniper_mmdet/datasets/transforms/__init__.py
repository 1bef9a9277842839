from .cut_chip import CutChip
from .open_image import OpenImage, PackImage
