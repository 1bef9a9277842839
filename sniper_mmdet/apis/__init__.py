from .coco_results import CocoResults
from .comparison import load_autofocus, measure, reference_ways, require_coco
from .inference import detect, focus_maps

__all__ = [
    'CocoResults',
    'detect',
    'focus_maps',
    'load_autofocus',
    'measure',
    'reference_ways',
    'require_coco',
]
