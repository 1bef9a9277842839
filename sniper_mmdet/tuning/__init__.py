"""Which settings suit data and checkpoints: NumPy, SciPy and Numba.

``suggest`` proposes settings from annotations, ``search_plans`` finds how
AutoFocus looks at little, ``propose`` does both. ``forecast`` and
``focus_share`` tell what settings cost and reach, ``chip_statistics`` what
chips cost and cover.
"""

from .advice import Advice, suggest
from .costs import focus_share, forecast
from .plan import FocusPlan, search_plans
from .proposal import propose
from .statistics import chip_statistics
