from .coco_json import CocoResults
from .inference import detect, focus_maps
from .measure import load_autofocus, measure, reference_ways, require_coco

__all__ = [
    'CocoResults',
    'detect',
    'focus_maps',
    'load_autofocus',
    'measure',
    'reference_ways',
    'require_coco',
]
