"""The original releases: files, names of tensors, outputs, downloads.

This room reads the originals' files and knows names and layouts of their
tensors and outputs. The networks themselves are in ``sniper_mmdet.models``.
Each paper has a module of tables, such as ``sniper``, for ``weights`` and
``outputs``.

This file imports nothing: ``mxnet_params``, ``weights`` and ``sniper`` need
NumPy alone, ``download`` and ``archives`` Python alone.
"""
