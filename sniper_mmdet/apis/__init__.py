from .measure import load_autofocus, measure, reference_ways, require_coco

__all__ = ['load_autofocus', 'measure', 'reference_ways', 'require_coco']
