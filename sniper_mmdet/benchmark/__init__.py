"""How fast, and how good, parts of the package are against named peers.

One module a part; tools/analysis_tools/benchmark.py calls those of speed,
drop_experiment.py that of missing labels.
"""
