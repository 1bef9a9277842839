"""Measures speed and quality of parts of the package beside named peers.

There is one module per part. tools/analysis_tools/benchmark.py calls the
modules for speed, drop_experiment.py the one for missing labels.
"""
