"""Control of Python's memory management."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
