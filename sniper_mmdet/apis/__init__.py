from .measure import load_autofocus, measure, reference_ways

__all__ = ['load_autofocus', 'measure', 'reference_ways']
