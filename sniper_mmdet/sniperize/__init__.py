"""Writer of the config that trains an MMDetection detector on chips.

The new config inherits from a config of MMDetection and changes what chips and
an image pyramid need. Decisions that it leaves to the user are listed as
notes.
"""

from .config import base_of, read_plain, sniperize
