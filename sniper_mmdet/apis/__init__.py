"""What a program calls: detection on files, results as files, comparisons.

Functions that take a built detector and hide how it is fed; what they print
and which flags there are is the tools' business.
"""

from .coco_results import CocoResults
from .comparison import load_autofocus, measure, reference_ways, require_coco
from .hiding import hide_objects, write_list
from .inference import detect, focus_maps
from .map_results import MapResults
from .proposed_labels import propose_labels
from .scenes import detect_scene
from .teaching import teach
