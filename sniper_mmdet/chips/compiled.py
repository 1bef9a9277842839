"""Functions that Numba compiles, and the folder of its cache."""

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

#: Its names are set when it is imported, so that no type is known.
_CONFIG: Any = numba.config


@functools.cache
def cache_folder() -> str | None:
    """The cache folder for the present files of this room; None: unwritable.

    It lies in ``NUMBA_CACHE_DIR``, or else in the user's cache. Beside the
    sources, its files would outlive the package, and their folder would hide
    another installation. Numba checks the file of a function alone, not the
    files of the functions it calls. The folder's name therefore depends on all
    files of the room.
    """
    base = _CONFIG.CACHE_DIR or os.environ.get('XDG_CACHE_HOME')
    sources = sorted(Path(__file__).parent.glob('*.py'))
    text = b'\0'.join(path.read_bytes() for path in sources)
    name = f'sniper_mmdet-{hashlib.sha256(text).hexdigest()[:16]}'
    try:
        folder = Path(base or Path.home() / '.cache').absolute() / name
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return None
    return str(folder)


def njit(function: Callable) -> Any:
    """``numba.njit``, cached if a file can be written."""
    folder = cache_folder()
    if folder is None:
        return numba.njit(function)
    before = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = folder  # Numba reads it when it decorates
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # no file that Numba could watch
        return numba.njit(function)
    finally:
        _CONFIG.CACHE_DIR = before
