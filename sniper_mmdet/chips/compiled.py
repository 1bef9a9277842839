"""Functions that Numba compiles, and where it keeps what it compiled."""

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

#: Its names are set as it is read, so that no type is known.
_CONFIG: Any = numba.config


@functools.cache
def cache_folder() -> str | None:
    """A folder of the user's for this room as it is now; None: unwritable.

    It lies in ``NUMBA_CACHE_DIR``, else in the user's cache: beside the
    sources, files would outlive the package, and their folder would hide
    another installation of it. Numba looks at the file of a function alone,
    not at those of what it calls, so the name tells all files of the room.
    """
    base = _CONFIG.CACHE_DIR or os.environ.get('XDG_CACHE_HOME')
    sources = sorted(Path(__file__).parent.glob('*.py'))
    text = b'\0'.join(path.read_bytes() for path in sources)
    name = f'sniper_mmdet-{hashlib.sha256(text).hexdigest()[:16]}'
    try:
        folder = Path(base or Path.home() / '.cache').absolute() / name
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    return str(folder)


def njit(function: Callable) -> Any:
    """``numba.njit``, cached where a file can be written, else uncached."""
    folder = cache_folder()
    if folder is None:
        return numba.njit(function)
    before = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = folder  # read where a function is decorated
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # there is no file that Numba could watch
        return numba.njit(function)
    finally:
        _CONFIG.CACHE_DIR = before
