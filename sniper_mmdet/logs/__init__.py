"""Reading and plotting of the logs of runs: NumPy and Matplotlib only."""

from .curves import draw_curves
from .reading import RunLog, last_metrics
