"""Control of memory, that of Python and that of the C library."""

import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Parameters of glibc's mallopt, by malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
# Bytes to which glibc itself may raise the first and the last of them.
_MOST_FREE, _MOST_ON_HEAP = 2**26, 2**25
# Bytes of an array that is large beside all others.
_LARGE = 2**26
# The process whose glibc was told what to keep, and the bytes up to which its
# arrays lie on the heap. A process forked from it has the same.
_told, _on_heap = 0, 0


def keep_freed_memory() -> None:
    """Keep memory of freed arrays for the next ones, up to 64 MB.

    glibc may give the memory of a chip back to the system after each chip,
    and to get it again takes a tenth of the time of a chip. Without glibc, or
    in a process that keeps all freed memory, nothing happens. A worker forked
    from that process keeps no more than others.
    """
    global _told
    if _told == os.getpid():
        return
    _told = os.getpid()
    if mallopt := of_glibc('mallopt'):
        mallopt(_TRIM_THRESHOLD, _MOST_FREE)
        _keep_on_heap(_MOST_ON_HEAP)


def keep_all_freed_memory() -> None:
    """Keep memory of all freed arrays for the next ones, up to 2 GB."""
    global _told
    _told = os.getpid()
    if mallopt := of_glibc('mallopt'):
        if not _keep_on_heap(2**30):
            # Older releases refuse more than half a heap's size.
            _keep_on_heap(_MOST_ON_HEAP)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 2**26)


def _keep_on_heap(most: int) -> bool:
    """Put arrays of up to so many bytes on the heap; False if refused."""
    global _on_heap
    taken = bool(of_glibc('mallopt')(_MMAP_THRESHOLD, most))
    _on_heap = most if taken else _on_heap
    return taken


@contextmanager
def large_arrays_apart() -> Iterator[None]:
    """A context in which arrays of 64 MB or more are never on the heap.

    Freed memory is given back first. Where the sizes of large arrays change,
    those that the heap keeps leave gaps that add up: half as much again as the
    arrays. To take each from the system costs time.
    """
    give_back_memory()
    before = _on_heap
    apart = before > _LARGE and _keep_on_heap(_LARGE)
    try:
        yield
    finally:
        if apart:
            _keep_on_heap(before)


def give_back_memory() -> None:
    """Return freed memory to the system, which glibc would keep for later."""
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
