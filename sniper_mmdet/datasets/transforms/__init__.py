from .cut_chip import CutChip
from .group_of import LoadGroupOf, PackGroupOf
from .incomplete_labels import IgnoreGroupOf, PackKnownLabels
from .load_by_window import (
    OWN,
    LoadImageByWindow,
    PackImage,
    loading_by_window,
    loading_whole,
)
