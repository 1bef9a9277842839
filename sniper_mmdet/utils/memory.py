"""Control of memory, that of Python and that of the C library."""

import ctypes
import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Parameters of glibc's mallopt, by malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
# Bytes to which glibc itself may raise the first and the last of them.
_MOST_FREE, _MOST_ON_HEAP = 2**26, 2**25


@functools.cache
def keep_freed_memory() -> None:
    """Keep memory of freed arrays for the next ones, up to 64 MB.

    glibc may give the memory of a chip back to the system after each chip,
    and to get it again takes a tenth of the time of a chip. Without glibc
    nothing happens.
    """
    if mallopt := of_glibc('mallopt'):
        mallopt(TRIM_THRESHOLD, _MOST_FREE)
        mallopt(MMAP_THRESHOLD, _MOST_ON_HEAP)


def give_back_memory() -> None:
    """Return freed memory to the system, which glibc would keep for later.

    :func:`~sniper_mmdet.engine.cpu.prepare_cpu` sets it to keep what the
    network needs again for each image. Where sizes change, blocks that are too
    small add up.
    """
    if malloc_trim := of_glibc('malloc_trim'):
        malloc_trim(0)


def of_glibc(name: str) -> Callable | None:
    """Return a function of glibc, or None where it has none or is absent."""
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # no C library that can be asked
        return None


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
