"""SNIPER and AutoFocus for MMDetection.

Importing this package imports nothing else, so that ``sniper_mmdet.chips``
works with NumPy, SciPy and Numba alone. ``sniper_mmdet.registry`` is the first
module that needs the OpenMMLab packages.
"""

from . import moved as _moved  # noqa: F401  # old names are found
from .version import __version__, version_info
