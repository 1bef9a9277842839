"""The functions that a program calls: detect, write results, compare.

They take a built detector and load its inputs themselves. Printing and
command-line options belong to the tools.
"""

from .coco_results import CocoResults
from .comparison import load_autofocus, measure, reference_ways, require_coco
from .hiding import hide_objects, write_list
from .inference import detect, focus_maps
from .map_results import MapResults
from .proposed_labels import propose_labels
from .scenes import detect_scene
from .teaching import teach
