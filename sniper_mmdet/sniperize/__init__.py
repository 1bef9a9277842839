"""Writes the config that trains another one's detector on chips.

What a config of MMDetection says is kept; what chips and an image pyramid
change is written beside it. What cannot be decided from a config is told.
"""

from .config import base_of, read_plain, sniperize
