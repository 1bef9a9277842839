"""Choice of settings for data and checkpoints: NumPy, SciPy and Numba only.

``suggest`` proposes settings from annotations. ``search_plans`` finds the
pyramids on which AutoFocus looks at few pixels. ``propose`` does both.
``forecast`` and ``focus_share`` estimate what settings cost and which boxes
they reach, ``chip_statistics`` counts chips and the boxes they cover.
"""

from .advice import Advice, suggest
from .costs import focus_share, forecast
from .plan import FocusPlan, search_plans
from .proposal import propose
from .statistics import chip_statistics
