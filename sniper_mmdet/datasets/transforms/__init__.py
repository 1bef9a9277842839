from .cut_chip import CutChip
from .group_of import IgnoreGroupOf, LoadGroupOf
from .incomplete_labels import PackKnownLabels
from .load_by_window import (
    OWN,
    LoadImageByWindow,
    loading_by_window,
    loading_whole,
)
from .pack_image import PackImage, packing_fast
