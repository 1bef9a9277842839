"""How fast the parts of the package are, each against a named peer.

One module a part; tools/analysis_tools/benchmark.py calls them.
"""
