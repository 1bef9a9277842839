"""Everything of the original releases: files, names, outputs, downloads.

What reads the originals' files belongs here, and what says how their tensors
and outputs are called and lie; networks that compute as the originals do are
in ``sniper_mmdet.models``. What holds for one paper only is a module of
tables, as ``sniper``, that ``weights`` and ``outputs`` take.

Nothing is imported here: ``mxnet_params``, ``weights`` and ``sniper`` need
NumPy alone, ``download`` and ``archives`` Python alone.
"""
