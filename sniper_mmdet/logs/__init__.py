"""What runs have logged, read and drawn: NumPy and Matplotlib only."""

from .curves import draw_curves
from .reading import RunLog, last_metrics
