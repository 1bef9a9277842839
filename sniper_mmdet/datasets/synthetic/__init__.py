"""Drawn scenes: a dataset of many small objects for a first try."""

from .sample_data import SampleSettings, write_sample_data
from .scenes import Scene, draw_scene
