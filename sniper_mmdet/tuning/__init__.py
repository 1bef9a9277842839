"""Which settings suit data and checkpoints: NumPy, SciPy and Numba.

``suggest`` proposes settings from annotations, ``forecast`` and
``focus_share`` tell what settings cost and reach, ``chip_statistics`` what
chips cost and cover.
"""

from .advice import Advice, suggest
from .costs import focus_share, forecast
from .statistics import chip_statistics
