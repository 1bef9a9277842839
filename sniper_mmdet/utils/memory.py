"""Control of memory, that of Python and that of the C library."""

import ctypes
import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Parameters of glibc's mallopt, and the bytes to which glibc itself may raise
# them.
_TRIM_THRESHOLD, _MOST_FREE = -1, 2**26
_MMAP_THRESHOLD, _MOST_ON_HEAP = -3, 2**25


@functools.cache
def keep_freed_memory() -> None:
    """Keep memory of freed arrays for the next ones, up to 64 MB.

    glibc may give the memory of a chip back to the system after each chip,
    and to get it again takes a tenth of the time of a chip. Without glibc
    nothing happens.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _MOST_FREE)
        mallopt(_MMAP_THRESHOLD, _MOST_ON_HEAP)


@contextmanager
def no_garbage() -> Iterator[None]:
    """A context without Python's search for reference cycles.

    Python searches all objects again and again while millions of them are
    made, as from a large json. That takes longer than making them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
